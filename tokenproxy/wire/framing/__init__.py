"""How a body is cut into messages: bytes in any chunking, whole messages out."""
