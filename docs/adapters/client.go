// An adapter: talks to the server of docs/tutorial. One JSON object a line, in and out.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

type request struct {
	ID        uint64          `json:"id"`
	Type      string          `json:"type"`
	Addr      string          `json:"addr"`
	TimeoutMS int64           `json:"timeout_ms"`
	F         string          `json:"f"`
	Key       string          `json:"key"`
	Value     json.RawMessage `json:"value"`
}

type answer map[string]any

var methods = map[string]string{"read": "GET", "write": "PUT", "cas": "POST"}
var client *http.Client
var addr string

func perform(r request) answer {
	switch r.Type {
	case "open":
		addr = r.Addr
		client = &http.Client{
			Transport: &http.Transport{},
			Timeout:   time.Duration(r.TimeoutMS) * time.Millisecond,
		}
		return answer{"type": "ok"}
	case "close":
		client.CloseIdleConnections()
		return answer{"type": "ok"}
	}
	method, known := methods[r.F]
	if !known {
		return answer{"type": "fail", "error": "not-supported"}
	}
	body := strings.Trim(strings.ReplaceAll(string(r.Value), ",", " "), "[]")
	call, err := http.NewRequest(method, "http://"+addr+"/"+r.Key, strings.NewReader(body))
	if err != nil {
		return answer{"type": "fail", "error": err.Error()} // Nothing was sent.
	}
	// A method that Go may send twice by itself would be an operation that happens twice.
	call.GetBody = nil
	reply, err := client.Do(call)
	if err != nil {
		return answer{"type": "info", "error": err.Error()} // It may have arrived.
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	switch {
	case err != nil:
		return answer{"type": "info", "error": err.Error()}
	case r.F == "read" && reply.StatusCode == 200:
		return answer{"type": "ok", "value": json.RawMessage(text)}
	case r.F == "read" && reply.StatusCode == 404:
		return answer{"type": "ok", "value": nil}
	case reply.StatusCode == 200:
		return answer{"type": "ok"}
	case reply.StatusCode == 409:
		return answer{"type": "fail", "error": "precondition-failed"}
	}
	return answer{"type": "info", "error": reply.Status}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		a := perform(r)
		a["id"] = r.ID
		line, _ := json.Marshal(a)
		fmt.Println(string(line))
	}
}
