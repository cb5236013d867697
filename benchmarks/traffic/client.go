package main

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// client makes one call after the other and checks that each answer is whole.
type client struct {
	*settings
	conn    net.Conn
	reader  *reader
	scratch [64 << 10]byte
	pending []byte

	calls, chunks, allCalls, allChunks int
	ttfb, delay, latency               histogram
	errors                             []error
}

const (
	patience    = 2 * time.Minute // of a call that hangs
	errorsTaken = 3               // then a client gives up
)

func (c *client) run() {
	defer c.hangUp()
	for len(c.errors) < errorsTaken {
		if c.done() {
			return
		}
		if err := c.one(); err != nil {
			c.errors = append(c.errors, err)
			c.hangUp()
		}
		if c.fresh {
			c.hangUp()
		}
	}
}

// done tells whether all is done.
func (c *client) done() bool {
	if c.settings.calls > 0 {
		return c.allCalls+len(c.errors) >= c.settings.calls
	}
	return nanotime() >= c.ends
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// counted tells whether a moment is in the time that is measured.
func (c *client) counted(moment int64) bool {
	return moment >= c.begins && (c.ends == 0 || moment < c.ends)
}

func (c *client) one() error {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return err
		}
	}
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	sent := nanotime()
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	answer := c.answer
	if c.socket {
		answer = c.messages
	}
	got, chunks, err := answer(sent)
	if err != nil {
		return err
	}
	wanted := max(c.order.chunks, 1)
	if chunks != wanted || got != c.settings.bytes {
		return fmt.Errorf("an answer of %d pieces and %d bytes; sent were %d and %d",
			chunks, got, wanted, c.settings.bytes)
	}
	c.allCalls++
	if now := nanotime(); c.counted(now) {
		c.calls++
		c.latency.add(now - sent)
	}
	return nil
}

// dial connects, through the proxy and with TLS where asked for.
func (c *client) dial() error {
	first := c.addr
	if c.proxy != "" {
		first = c.proxy
	}
	conn, err := net.DialTimeout("tcp", first, patience)
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if c.proxy != "" {
		if err := connect(conn, c.addr); err != nil {
			conn.Close()
			return err
		}
	}
	if c.tls != nil {
		secure := tls.Client(conn, c.tls)
		if err := secure.Handshake(); err != nil {
			conn.Close()
			return err
		}
		conn = secure
	}
	c.conn, c.reader = conn, newReader(conn)
	if c.socket {
		return c.upgrade()
	}
	return nil
}

func connect(conn net.Conn, addr string) error {
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nhost: %s\r\n\r\n", addr, addr); err != nil {
		return err
	}
	h, err := newReader(conn).head()
	if err == nil && h.status() != 200 {
		err = fmt.Errorf("the proxy answers CONNECT with %q", h.first)
	}
	return err
}

func (c *client) upgrade() error {
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nhost: %s\r\nauthorization: Bearer none\r\n"+
		"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"+
		"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", c.path, c.host); err != nil {
		return err
	}
	h, err := c.reader.head()
	if err == nil && h.status() != 101 {
		err = fmt.Errorf("the upgrade is answered with %q", h.first)
	}
	return err
}

// answer reads an HTTP answer: its bytes, and its events if it is streamed.
func (c *client) answer(sent int64) (got, chunks int, err error) {
	h, err := c.reader.head()
	if err != nil {
		return 0, 0, err
	}
	framed, err := bodyOf(c.reader, h, false)
	if err != nil {
		return 0, 0, err
	}
	if h.status() != 200 {
		said, _ := io.ReadAll(framed)
		return 0, 0, fmt.Errorf("%s: %.200s", h.first, said)
	}
	var source io.Reader = framed
	if h.gzip {
		if source, err = gzip.NewReader(framed); err != nil {
			return 0, 0, err
		}
	} else if c.order.gzip {
		return 0, 0, errors.New("the answer is not compressed any more")
	}
	c.pending = c.pending[:0]
	for {
		n, err := source.Read(c.scratch[:])
		if n > 0 {
			if got == 0 && c.counted(c.reader.arrived) {
				c.ttfb.add(c.reader.arrived - sent)
			}
			got += n
			chunks += c.events(c.scratch[:n])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return got, chunks, err
		}
	}
	if c.order.chunks == 0 {
		chunks = 1
	}
	if h.close {
		c.hangUp()
	}
	return got, chunks, nil
}

// events counts the events that end in what has come.
func (c *client) events(data []byte) int {
	if c.order.chunks == 0 {
		return 0
	}
	count := 0
	if len(c.pending) > 0 {
		c.pending = append(c.pending, data...)
		data = c.pending
	}
	for {
		at := bytes.Index(data, []byte("\n\n"))
		if at < 0 {
			break
		}
		c.chunk(data[:at])
		data = data[at+2:]
		count++
	}
	c.pending = append(c.pending[:0], data...)
	return count
}

// chunk notes one piece of a stream.
func (c *client) chunk(event []byte) {
	c.allChunks++
	if !c.counted(c.reader.arrived) {
		return
	}
	c.chunks++
	if c.order.pace > 0 {
		if stamp := stampOf(event); stamp > 0 {
			c.delay.add(c.reader.arrived - stamp)
		}
	}
}

// messages reads an answer over a WebSocket.
func (c *client) messages(sent int64) (got, chunks int, err error) {
	for chunks < c.order.chunks {
		message, ok, err := c.reader.message(c.pending[:0])
		if err != nil {
			return got, chunks, err
		}
		if !ok {
			return got, chunks, errors.New("the socket was closed within an answer")
		}
		c.pending = message
		if got == 0 && c.counted(c.reader.arrived) {
			c.ttfb.add(c.reader.arrived - sent)
		}
		got += len(message)
		chunks++
		c.chunk(message)
	}
	return got, chunks, nil
}
