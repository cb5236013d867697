package main

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
)

const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	final   = 0x80
	masked  = 0x80
)

// acceptOf answers a Sec-WebSocket-Key (RFC 6455, 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// appendFrame adds the head of a whole text message.
func appendFrame(to []byte, length int, mask []byte) []byte {
	bit := byte(0)
	if mask != nil {
		bit = masked
	}
	to = append(to, final|opText)
	switch {
	case length < 126:
		to = append(to, bit|byte(length))
	case length < 1<<16:
		to = append(to, bit|126)
		to = binary.BigEndian.AppendUint16(to, uint16(length))
	default:
		to = append(to, bit|127)
		to = binary.BigEndian.AppendUint64(to, uint64(length))
	}
	return append(to, mask...)
}

// frame reads one frame and takes its mask off.
func (r *reader) frame() (op byte, fin bool, payload []byte, err error) {
	start, err := r.exactly(2)
	if err != nil {
		return 0, false, nil, err
	}
	op, fin = start[0]&0xf, start[0]&final != 0
	hidden, length := start[1]&masked != 0, int(start[1]&^masked)
	if length >= 126 {
		bytes := 2
		if length == 127 {
			bytes = 8
		}
		long, err := r.exactly(bytes)
		if err != nil {
			return 0, false, nil, err
		}
		length = 0
		for _, b := range long {
			length = length<<8 | int(b)
		}
	}
	var mask [4]byte
	if hidden {
		key, err := r.exactly(4)
		if err != nil {
			return 0, false, nil, err
		}
		copy(mask[:], key)
	}
	payload, err = r.exactly(length)
	if err == nil && hidden {
		for at := range payload {
			payload[at] ^= mask[at&3]
		}
	}
	return op, fin, payload, err
}

// message reads one whole message; ok is false when the other side closes.
func (r *reader) message(into []byte) (whole []byte, ok bool, err error) {
	for {
		op, fin, payload, err := r.frame()
		switch {
		case err != nil || op == opClose:
			return nil, false, err
		case op >= opPing: // a proxy's ping may go unanswered here: no run is that long
			continue
		}
		into = append(into, payload...)
		if fin {
			return into, true, nil
		}
	}
}
