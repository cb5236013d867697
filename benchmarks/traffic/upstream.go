package main

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// served counts what came in, for a look from outside.
var served struct {
	calls, exports, exportBytes atomic.Int64
}

// upstream serves the model APIs over HTTP and HTTPS, and takes telemetry.
func upstream(arguments []string) error {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	dir := flags.String("dir", ".", "where the certificates are put")
	_ = flags.Parse(arguments)
	certificate, err := certificates(*dir)
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure := tls.NewListener(bare, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err := printJSON(map[string]int{
		"http":          plain.Addr().(*net.TCPAddr).Port,
		"https":         bare.Addr().(*net.TCPAddr).Port,
		"input_tokens":  inputTokens,
		"output_tokens": outputTokens,
	}); err != nil {
		return err
	}
	go accept(secure)
	return accept(plain)
}

func accept(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			s := server{reader: newReader(conn), conn: conn}
			for s.one() == nil {
			}
		}()
	}
}

// server answers on one connection.
type server struct {
	*reader
	conn    net.Conn
	out     []byte
	request bytes.Buffer
}

// one answers one request; an error ends the connection.
func (s *server) one() error {
	h, err := s.head()
	if err != nil {
		return err
	}
	if h.key != "" {
		return s.socket(h)
	}
	body, err := bodyOf(s.reader, h, true)
	if err != nil {
		return err
	}
	s.request.Reset()
	if _, err := io.Copy(&s.request, body); err != nil {
		return err
	}
	switch {
	case strings.Contains(h.first, " /stats"):
		return s.whole(fmt.Appendf(nil, `{"calls":%d,"exports":%d,"export_bytes":%d}`,
			served.calls.Load(), served.exports.Load(), served.exportBytes.Load()), "application/json")
	case strings.Contains(h.first, "/v1/traces"), strings.Contains(h.first, "/v1/metrics"):
		served.exports.Add(1)
		served.exportBytes.Add(int64(s.request.Len()))
		return s.whole(nil, "application/x-protobuf")
	}
	served.calls.Add(1)
	o := orderIn(s.request.Bytes())
	if o.chunks > 0 {
		return s.stream(o)
	}
	p := message()
	p.fill(p.bytes, ids.Add(1), 0)
	return s.whole(p.bytes, "application/json")
}

// whole sends an answer of known length in one write.
func (s *server) whole(content []byte, kind string) error {
	s.out = fmt.Appendf(s.out[:0], "HTTP/1.1 200 OK\r\ncontent-type: %s\r\nrequest-id: req_%019d\r\n"+
		"content-length: %d\r\n\r\n", kind, ids.Load(), len(content))
	s.out = append(s.out, content...)
	_, err := s.conn.Write(s.out)
	return err
}

var scripts sync.Map // order without pace -> []piece

// scriptOf is what is sent for an order; made once.
func scriptOf(o order, socket bool) []piece {
	type key struct {
		order
		socket bool
	}
	live := o.gzip && o.pace > 0 // stamps change what gzip says
	o.pace = 0
	if made, ok := scripts.Load(key{o, socket}); ok && !live {
		return made.([]piece)
	}
	var pieces []piece
	switch {
	case socket:
		pieces = messages(o.chunks)
	case o.gzip && !live:
		pieces = compressed(events(o.chunks))
	default:
		pieces = events(o.chunks)
	}
	if !live {
		scripts.Store(key{o, socket}, pieces)
	}
	return pieces
}

// stream sends each event with a write of its own, at the pace that was asked for.
func (s *server) stream(o order) error {
	encoding := ""
	if o.gzip {
		encoding = "content-encoding: gzip\r\n"
	}
	id := ids.Add(1)
	s.out = fmt.Appendf(s.out[:0], "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"+
		"cache-control: no-cache\r\nrequest-id: req_%019d\r\n%stransfer-encoding: chunked\r\n\r\n", id, encoding)
	if _, err := s.conn.Write(s.out); err != nil {
		return err
	}
	var packed bytes.Buffer
	var zip *gzip.Writer
	if o.gzip && o.pace > 0 {
		zip, _ = gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	}
	pieces := scriptOf(o, false)
	beat := newBeat(o.pace, id)
	filled := make([]byte, 0, 512)
	for at, p := range pieces {
		beat.wait()
		filled = append(filled[:0], p.bytes...)
		p.fill(filled, id, nanotime())
		if zip != nil {
			packed.Reset()
			_, _ = zip.Write(filled)
			if at == len(pieces)-1 {
				_ = zip.Close()
			} else {
				_ = zip.Flush()
			}
			filled = append(filled[:0], packed.Bytes()...)
		}
		s.out = fmt.Appendf(s.out[:0], "%x\r\n", len(filled))
		s.out = append(append(s.out, filled...), "\r\n"...)
		if _, err := s.conn.Write(s.out); err != nil {
			return err
		}
	}
	_, err := s.conn.Write([]byte("0\r\n\r\n"))
	return err
}

// socket speaks the Responses API over a WebSocket until the client leaves.
func (s *server) socket(h head) error {
	s.out = fmt.Appendf(s.out[:0], "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"+
		"connection: Upgrade\r\nsec-websocket-accept: %s\r\n\r\n", acceptOf(h.key))
	if _, err := s.conn.Write(s.out); err != nil {
		return err
	}
	var request []byte
	for {
		message, ok, err := s.message(request[:0])
		if err != nil || !ok {
			return io.EOF
		}
		request = message
		served.calls.Add(1)
		o := orderIn(message)
		id := ids.Add(1)
		beat := newBeat(o.pace, id)
		for _, p := range scriptOf(o, true) {
			beat.wait()
			s.out = appendFrame(s.out[:0], len(p.bytes), nil)
			start := len(s.out)
			s.out = append(s.out, p.bytes...)
			p.fill(s.out[start:], id, nanotime())
			if _, err := s.conn.Write(s.out); err != nil {
				return err
			}
		}
	}
}

// beat keeps a pace. Streams are not in step with each other, as in life.
type beat struct {
	every, next int64
}

func newBeat(pace int, id int64) *beat {
	if pace == 0 {
		return &beat{}
	}
	every := int64(time.Second) / int64(pace)
	return &beat{every: every, next: nanotime() - every + every*(id*61%97)/97}
}

// wait returns at once for the first, then at the stream's own beats.
func (b *beat) wait() {
	if b.every == 0 {
		return
	}
	if now := nanotime(); b.next > now {
		time.Sleep(time.Duration(b.next - now))
	}
	b.next += b.every
}
