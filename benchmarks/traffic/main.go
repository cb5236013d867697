// Traffic is both ends of a benchmark: a model API that is never the bottleneck, and its clients.
//
//	traffic upstream -dir DIR          serve until stopped; prints its ports as one JSON object
//	traffic load -addr HOST:PORT …     make calls; prints what was measured as one JSON object
//	traffic clock                      print the monotonic clock: when a command began
//
// HTTP is written and read by hand on the bare connection, because what is spent here is missing
// to the proxy that is measured on the same cores.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	began := nanotime()
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: traffic upstream|load|clock"))
	}
	var err error
	switch os.Args[1] {
	case "upstream":
		err = upstream(os.Args[2:])
	case "load":
		err = load(os.Args[2:])
	case "clock":
		fmt.Println(began)
	default:
		err = fmt.Errorf("no such command: %s", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "traffic:", err)
	os.Exit(1)
}

func printJSON(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
