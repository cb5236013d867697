package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// settings are what a load is to be.
type settings struct {
	addr, proxy, host, path string
	socket, fresh           bool
	streams, calls, padding int
	order                   order
	duration, warmup, ramp  time.Duration
	tls                     *tls.Config

	begins, ends int64 // of what is counted, by nanotime
	request      []byte
	bytes        int // of a whole answer
}

// load makes calls from many clients at once and says what was seen.
func load(arguments []string) error {
	s, err := parse(arguments)
	if err != nil {
		return err
	}
	clients := make([]*client, s.streams)
	var running sync.WaitGroup
	began := nanotime()
	s.begins = began + int64(s.warmup)
	if s.calls == 0 {
		s.ends = s.begins + int64(s.duration)
	}
	for at := range clients {
		c := &client{settings: s, ttfb: histogram{}, delay: histogram{}, latency: histogram{}}
		clients[at] = c
		delay := time.Duration(int64(s.ramp) * int64(at) / int64(s.streams))
		running.Add(1)
		go func() {
			defer running.Done()
			time.Sleep(delay)
			c.run()
		}()
	}
	running.Wait()
	return printJSON(sum(s, clients, nanotime()-began))
}

func parse(arguments []string) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	flags.StringVar(&s.addr, "addr", "", "HOST:PORT of the API")
	flags.StringVar(&s.proxy, "proxy", "", "HOST:PORT of an HTTP proxy before it")
	flags.StringVar(&s.host, "host", "api.anthropic.com", "the Host header")
	flags.StringVar(&s.path, "path", "/v1/messages", "the request's path")
	flags.BoolVar(&s.socket, "socket", false, "speak the Responses API over a WebSocket")
	flags.BoolVar(&s.fresh, "fresh", false, "a new connection for each call")
	flags.IntVar(&s.streams, "streams", 1, "clients at once, a connection each")
	flags.IntVar(&s.calls, "calls", 0, "calls of each client; 0: as many as -duration allows")
	flags.IntVar(&s.padding, "padding", 0, "bytes of a request's prompt")
	flags.IntVar(&s.order.chunks, "chunks", 0, "pieces of an answer; 0: not streamed")
	flags.IntVar(&s.order.pace, "pace", 0, "pieces a second; 0: as fast as they are taken")
	flags.BoolVar(&s.order.gzip, "gzip", false, "the answer is compressed")
	flags.DurationVar(&s.duration, "duration", time.Second, "time that is counted")
	flags.DurationVar(&s.warmup, "warmup", 0, "time before it that is not")
	flags.DurationVar(&s.ramp, "ramp", 0, "time over which the clients begin")
	secure := flags.String("ca", "", "speak TLS, trusting this authority's file")
	name := flags.String("sni", "api.anthropic.com", "the name that the server's certificate bears")
	_ = flags.Parse(arguments)
	if *secure != "" {
		pem, err := os.ReadFile(*secure)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", *secure)
		}
		s.tls = &tls.Config{RootCAs: roots, ServerName: *name,
			ClientSessionCache: tls.NewLRUClientSessionCache(s.streams)}
	}
	s.prepare()
	return s, nil
}

// prepare writes the request, the same for every call, and the length of its answer.
func (s *settings) prepare() {
	prompt := strings.Repeat("0123456789abcdef ", s.padding/17+1)[:s.padding]
	if s.socket {
		s.bytes = size(messages(s.order.chunks))
		body := fmt.Sprintf(`{"type":"response.create","model":"gpt-5-codex","stream":true,`+
			`"prompt_cache_key":"%s","input":[{"role":"user","content":"%s"}]}`, s.order, prompt)
		mask := []byte{0x37, 0xfa, 0x21, 0x3d}
		s.request = appendFrame(nil, len(body), mask)
		for at := range len(body) {
			s.request = append(s.request, body[at]^mask[at&3])
		}
		return
	}
	streamed := s.order.chunks > 0
	s.bytes = len(message().bytes)
	encoding := ""
	if streamed {
		s.bytes = size(events(s.order.chunks))
	}
	if s.order.gzip {
		encoding = "accept-encoding: gzip\r\n"
	}
	body := fmt.Sprintf(`{"model":"claude-sonnet-4-5-20250929","max_tokens":1024,"stream":%t,`+
		`"metadata":{"user_id":"%s"},"messages":[{"role":"user","content":"Hello %s"}]}`,
		streamed, s.order, prompt)
	s.request = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nhost: %s\r\nx-api-key: sk-ant-none\r\n"+
		"anthropic-version: 2023-06-01\r\nuser-agent: traffic/1\r\n%s"+
		"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s",
		s.path, s.host, encoding, len(body), body)
}

// result is what load prints; benchmarks/traffic_run.py reads it.
type result struct {
	Seconds     float64   `json:"seconds"`      // counted
	Calls       int       `json:"calls"`        // that ended in this time
	Chunks      int       `json:"chunks"`       // that came in this time
	AllCalls    int       `json:"all_calls"`    // made, warm-up and tail included
	AllChunks   int       `json:"all_chunks"`   // likewise
	TTFB        histogram `json:"ttfb"`         // from the request to the body's first byte
	Delay       histogram `json:"delay"`        // of a chunk, from its write to its arrival
	Latency     histogram `json:"latency"`      // of a whole call
	Errors      []string  `json:"errors"`       // the first of them
	ErrorsTotal int       `json:"errors_total"` // calls that failed or were not whole
}

const errorsShown = 3

func sum(s *settings, clients []*client, elapsed int64) result {
	total := result{TTFB: histogram{}, Delay: histogram{}, Latency: histogram{}, Errors: []string{}}
	for _, c := range clients {
		total.Calls += c.calls
		total.Chunks += c.chunks
		total.AllCalls += c.allCalls
		total.AllChunks += c.allChunks
		total.TTFB.merge(c.ttfb)
		total.Delay.merge(c.delay)
		total.Latency.merge(c.latency)
		total.ErrorsTotal += len(c.errors)
		for _, err := range c.errors {
			if len(total.Errors) < errorsShown {
				total.Errors = append(total.Errors, err.Error())
			}
		}
	}
	total.Seconds = float64(elapsed-int64(s.warmup)) / 1e9
	if s.calls == 0 {
		total.Seconds = s.duration.Seconds()
	}
	return total
}
