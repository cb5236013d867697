package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
)

// What every answer is billed, in both dialects: benchmarks/calls.py holds the ledger against it.
const (
	uncachedTokens = 412
	writtenTokens  = 1024
	readTokens     = 20480
	inputTokens    = uncachedTokens + writtenTokens + readTokens
	outputTokens   = 357
)

const (
	idMark    = "~~"
	stampMark = "@@"
	digits    = 19 // of a stamp and of an id: every piece has a fixed length
	zeros     = "0000000000000000000"
	minEvents = 6 // of a stream: the five that frame it, and one delta
)

var ids atomic.Int64

// piece is one event or message. Its id and stamp are filled in when it is sent.
type piece struct {
	bytes     []byte
	id, stamp int // where their digits begin; -1: it has none
}

func newPiece(text string) piece {
	p := piece{bytes: []byte(text), id: -1, stamp: -1}
	if at := strings.Index(text, idMark); at >= 0 {
		p.id = at
	}
	if at := strings.Index(text, stampMark); at >= 0 {
		p.stamp = at + len(stampMark)
	}
	return p
}

// fill writes an id and the time into a copy of the piece.
func (p piece) fill(copied []byte, id, stamp int64) {
	if p.id >= 0 {
		put(copied[p.id:p.id+len(idMark)+digits], id)
	}
	if p.stamp >= 0 {
		put(copied[p.stamp:p.stamp+digits], stamp)
	}
}

// put writes a number over all of place, with leading zeros.
func put(place []byte, number int64) {
	for at := len(place) - 1; at >= 0; at-- {
		place[at] = byte('0' + number%10)
		number /= 10
	}
}

// stampOf finds the time in an event; 0 if there is none.
func stampOf(event []byte) int64 {
	at := bytes.Index(event, []byte(stampMark))
	if at < 0 || len(event) < at+len(stampMark)+digits {
		return 0
	}
	stamp, _ := strconv.ParseInt(string(event[at+len(stampMark):at+len(stampMark)+digits]), 10, 64)
	return stamp
}

const startUsage = `{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,` +
	`"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":0},` +
	`"output_tokens":%d,"service_tier":"standard"}`

func usage(output int) string {
	return fmt.Sprintf(startUsage, uncachedTokens, writtenTokens, readTokens, writtenTokens, output)
}

// message is a whole answer of the Messages API, about 2 kB.
func message() piece {
	return newPiece(`{"id":"msg_` + idMark + zeros + `","type":"message","role":"assistant",` +
		`"model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":"` +
		strings.Repeat("Nothing is as fast as what is not done. ", 40) + `"}],` +
		`"stop_reason":"end_turn","stop_sequence":null,"usage":` + usage(outputTokens) + `}`)
}

func event(name, data string) piece {
	return newPiece("event: " + name + "\ndata: " + data + "\n\n")
}

// events is a streamed answer of the Messages API in that many events.
func events(count int) []piece {
	pieces := []piece{
		event("message_start", `{"type":"message_start","message":{"id":"msg_`+idMark+zeros+
			`","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929",`+
			`"content":[],"stop_reason":null,"stop_sequence":null,"usage":`+usage(1)+`}}`),
		event("content_block_start", `{"type":"content_block_start","index":0,`+
			`"content_block":{"type":"text","text":""}}`),
	}
	delta := event("content_block_delta", `{"type":"content_block_delta","index":0,`+
		`"delta":{"type":"text_delta","text":"`+stampMark+zeros+` quick"}}`)
	for range count - minEvents + 1 {
		pieces = append(pieces, delta)
	}
	return append(pieces,
		event("content_block_stop", `{"type":"content_block_stop","index":0}`),
		event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn",`+
			`"stop_sequence":null},"usage":`+usage(outputTokens)+`}`),
		event("message_stop", `{"type":"message_stop"}`),
	)
}

// messages is a streamed answer of the Responses API over a WebSocket, in that many messages.
func messages(count int) []piece {
	const response = `"response":{"id":"resp_` + idMark + zeros + `","object":"response",` +
		`"model":"gpt-5-codex","output":[],"status":"%s"%s}`
	usage := fmt.Sprintf(`,"usage":{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d},`+
		`"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":128},"total_tokens":%d}`,
		inputTokens, readTokens, outputTokens, inputTokens+outputTokens)
	pieces := []piece{newPiece(`{"type":"response.created","sequence_number":0,` +
		fmt.Sprintf(response, "in_progress", "") + `}`)}
	delta := newPiece(`{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,` +
		`"content_index":0,"delta":"` + stampMark + zeros + ` quick"}`)
	for range count - 2 {
		pieces = append(pieces, delta)
	}
	return append(pieces, newPiece(`{"type":"response.completed","sequence_number":1,`+
		fmt.Sprintf(response, "completed", usage)+`}`))
}

func size(pieces []piece) int {
	sum := 0
	for _, p := range pieces {
		sum += len(p.bytes)
	}
	return sum
}

// compressed is each piece as gzip says it, flushed: what a server sends that compresses a stream.
func compressed(pieces []piece) []piece {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	var flushed []piece
	for at, p := range pieces {
		_, _ = zip.Write(p.bytes) // a buffer takes all
		if at == len(pieces)-1 {
			_ = zip.Close()
		} else {
			_ = zip.Flush()
		}
		flushed = append(flushed, piece{bytes: bytes.Clone(out.Bytes()), id: -1, stamp: -1})
		out.Reset()
	}
	return flushed
}

// order is what a request asks of the upstream. It stands in the request's body, which every proxy
// passes on.
type order struct {
	chunks int // 0: the whole answer at once
	pace   int // chunks a second; 0: as fast as they are taken
	gzip   bool
}

const orderMark = "bench:"

func (o order) String() string {
	return fmt.Sprintf("%s%d:%d:%t;", orderMark, o.chunks, o.pace, o.gzip)
}

// orderIn finds the order in a request; a request without one gets the whole answer.
func orderIn(request []byte) (o order) {
	at := bytes.Index(request, []byte(orderMark))
	if at < 0 {
		return o
	}
	words, _, _ := strings.Cut(string(request[at+len(orderMark):min(len(request), at+40)]), ";")
	parts := strings.Split(words, ":")
	if len(parts) != 3 {
		return o
	}
	o.chunks, _ = strconv.Atoi(parts[0])
	o.pace, _ = strconv.Atoi(parts[1])
	o.gzip = parts[2] == "true"
	return o
}
