package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// reader reads HTTP/1 from a connection through one buffer.
type reader struct {
	conn       net.Conn
	buf        []byte
	start, end int
	arrived    int64 // when the last read returned, by nanotime
}

func newReader(conn net.Conn) *reader {
	return &reader{conn: conn, buf: make([]byte, 64<<10)}
}

func (r *reader) buffered() []byte { return r.buf[r.start:r.end] }

// fill waits for more bytes.
func (r *reader) fill() error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.end == len(r.buf) {
		if r.start == 0 {
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		} else {
			copy(r.buf, r.buffered())
			r.end -= r.start
			r.start = 0
		}
	}
	n, err := r.conn.Read(r.buf[r.end:])
	r.arrived = nanotime()
	r.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// until returns what comes before mark and passes over both. It is valid until the next read.
func (r *reader) until(mark string) ([]byte, error) {
	searched := 0
	for {
		at := bytes.Index(r.buffered()[searched:], []byte(mark))
		if at >= 0 {
			found := r.buffered()[:searched+at]
			r.start += searched + at + len(mark)
			return found, nil
		}
		searched = max(0, r.end-r.start-len(mark)+1)
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// exactly returns the next n bytes. They are valid until the next read.
func (r *reader) exactly(n int) ([]byte, error) {
	for r.end-r.start < n {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	found := r.buffered()[:n]
	r.start += n
	return found, nil
}

// head is what both ends need of a request's or a response's head.
type head struct {
	first   string // the request or status line
	length  int64  // Content-Length, or -1
	chunked bool
	gzip    bool
	close   bool
	key     string // Sec-WebSocket-Key
}

func (r *reader) head() (head, error) {
	raw, err := r.until("\r\n\r\n")
	if err != nil {
		return head{}, err
	}
	first, rest, _ := bytes.Cut(raw, []byte("\r\n"))
	h := head{first: string(first), length: -1}
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if h.length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return h, err
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("content-encoding")):
			h.gzip = bytes.EqualFold(value, []byte("gzip"))
		case bytes.EqualFold(name, []byte("connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("sec-websocket-key")):
			h.key = string(value)
		}
	}
	return h, nil
}

// status is a response's status code, or 0.
func (h head) status() int {
	if len(h.first) < 12 {
		return 0
	}
	code, _ := strconv.Atoi(h.first[9:12])
	return code
}

// body is a message's body without its framing.
type body struct {
	r       *reader
	chunked bool
	left    int64 // of the body, or of the current chunk
	done    bool
}

// bodyOf frames what follows a head. A response that ends with its connection is none of ours.
func bodyOf(r *reader, h head, request bool) (*body, error) {
	switch {
	case h.chunked:
		return &body{r: r, chunked: true}, nil
	case h.length >= 0:
		return &body{r: r, left: h.length, done: h.length == 0}, nil
	case request:
		return &body{r: r, done: true}, nil
	}
	return nil, errors.New("a response without a length")
}

// Read waits for one byte at least and takes what has arrived with it.
func (b *body) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && !b.done {
		if n > 0 && b.r.start == b.r.end {
			break
		}
		if b.chunked && b.left == 0 {
			if err := b.next(); err != nil {
				return n, unexpected(err)
			}
			continue
		}
		if b.r.start == b.r.end {
			if err := b.r.fill(); err != nil {
				return n, unexpected(err)
			}
		}
		took := copy(p[n:], b.r.buf[b.r.start:min(b.r.end, b.r.start+int(min(b.left, 1<<30)))])
		n += took
		b.r.start += took
		b.left -= int64(took)
		if b.left > 0 {
			continue
		}
		if !b.chunked {
			b.done = true
		} else if _, err := b.r.until("\r\n"); err != nil {
			return n, unexpected(err)
		}
	}
	if n == 0 && b.done {
		return 0, io.EOF
	}
	return n, nil
}

// next reads a chunk's size line, and the trailers behind the last chunk.
func (b *body) next() error {
	line, err := b.r.until("\r\n")
	if err != nil {
		return err
	}
	digits, _, _ := bytes.Cut(line, []byte(";"))
	if b.left, err = strconv.ParseInt(string(bytes.TrimSpace(digits)), 16, 64); err != nil {
		return fmt.Errorf("a chunk of size %q", line)
	}
	if b.left > 0 {
		return nil
	}
	b.done = true
	for {
		line, err := b.r.until("\r\n")
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

// unexpected says that a body was cut.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
