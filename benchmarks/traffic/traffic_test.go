package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"testing"
)

// pipe is a reader of what the pieces bring, one read after the other.
func pipe(pieces ...string) *reader {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		for _, piece := range pieces {
			if _, err := far.Write([]byte(piece)); err != nil {
				return
			}
		}
	}()
	return newReader(near)
}

func TestABodyIsTheSameHoweverItIsCut(t *testing.T) {
	const wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\nTrailer: x\r\n\r\n" + "HTTP/1.1 204 No Content\r\n"
	for cut := 1; cut < len(wire); cut++ {
		r := pipe(wire[:cut], wire[cut:])
		h, err := r.head()
		if err != nil || h.status() != 200 || !h.chunked {
			t.Fatalf("cut at %d: %+v, %v", cut, h, err)
		}
		b, err := bodyOf(r, h, false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if err != nil || string(got) != "hello, world" {
			t.Fatalf("cut at %d: %q, %v", cut, got, err)
		}
		if rest, err := r.until("\r\n"); err != nil || string(rest) != "HTTP/1.1 204 No Content" {
			t.Fatalf("cut at %d: %q follows, %v", cut, rest, err)
		}
	}
}

func TestACutBodyIsAnError(t *testing.T) {
	for _, wire := range []string{
		"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
	} {
		r := pipe(wire)
		h, err := r.head()
		if err != nil {
			t.Fatal(err)
		}
		b, err := bodyOf(r, h, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(b); err != io.ErrUnexpectedEOF {
			t.Errorf("%q ends with %v", wire, err)
		}
	}
}

func TestAStreamHasTheEventsThatWereOrdered(t *testing.T) {
	pieces := events(200)
	var whole bytes.Buffer
	for _, p := range pieces {
		whole.Write(p.bytes)
	}
	if got := bytes.Count(whole.Bytes(), []byte("\n\n")); len(pieces) != 200 || got != 200 {
		t.Errorf("%d pieces with %d events", len(pieces), got)
	}
	if got := len(messages(200)); got != 200 {
		t.Errorf("%d messages", got)
	}
	var packed bytes.Buffer
	for _, p := range compressed(pieces) {
		packed.Write(p.bytes)
	}
	unzip, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(unzip); err != nil || !bytes.Equal(got, whole.Bytes()) {
		t.Errorf("compressed it is %d bytes, %v", len(got), err)
	}
}

func TestAnAnswerIsOfTheSizeOfLife(t *testing.T) {
	if got := len(message().bytes); got < 1900 || got > 2300 {
		t.Errorf("%d bytes", got)
	}
}

func TestAStampIsFoundWhereItWasPut(t *testing.T) {
	p := events(minEvents)[2]
	copied := bytes.Clone(p.bytes)
	p.fill(copied, 7, 1234567890123)
	if got := stampOf(copied); got != 1234567890123 || len(copied) != len(p.bytes) {
		t.Errorf("%d in %q", got, copied)
	}
	if got := stampOf(p.bytes); got != 0 {
		t.Errorf("%d before it was put", got)
	}
}

func TestAnOrderIsReadAsItWasGiven(t *testing.T) {
	for _, given := range []order{{}, {chunks: 200}, {chunks: 10, pace: 50, gzip: true}} {
		if got := orderIn([]byte(`{"user_id":"` + given.String() + `"}`)); got != given {
			t.Errorf("%+v is read as %+v", given, got)
		}
	}
	if got := orderIn([]byte(`{"user_id":"me"}`)); got != (order{}) {
		t.Errorf("%+v", got)
	}
}

func TestBucketsAreOneAfterTheOther(t *testing.T) {
	last := -1
	for ns := int64(0); ns < 1<<14; ns++ {
		got := bucket(ns)
		if got != last && got != last+1 {
			t.Fatalf("%d ns: bucket %d after %d", ns, got, last)
		}
		last = got
	}
}

func TestAFrameIsReadAsItWasWritten(t *testing.T) {
	for _, length := range []int{0, 125, 126, 70000} {
		payload := bytes.Repeat([]byte("x"), length)
		mask := []byte{1, 2, 3, 4}
		frame := appendFrame(nil, length, mask)
		for at, b := range payload {
			frame = append(frame, b^mask[at&3])
		}
		got, ok, err := pipe(string(frame[:1]), string(frame[1:])).message(nil)
		if err != nil || !ok || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: %d, %t, %v", length, len(got), ok, err)
		}
	}
}

// TestAKeyIsAcceptedAsTheStandardSays has the example of RFC 6455, 1.3.
func TestAKeyIsAcceptedAsTheStandardSays(t *testing.T) {
	if got := acceptOf("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}
