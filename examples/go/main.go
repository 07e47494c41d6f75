// Answers every text that a person writes with the same text: go run main.go SOCKET SESSION
// Go 1.18 or newer, nothing but the standard library. When the daemon goes it connects again, and goes on behind the last event.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

type request struct {
	Version string         `json:"jsonrpc"`
	ID      int            `json:"id"`
	Method  string         `json:"method"`
	Params  map[string]any `json:"params"`
}

type line struct {
	ID     int    `json:"id"`
	Method string `json:"method"`
	Error  *struct {
		Message string `json:"message"`
		Data    struct {
			Code string `json:"code"`
		} `json:"data"`
	} `json:"error"`
	Result struct {
		Cursor int64 `json:"cursor"`
	} `json:"result"`
	Params struct {
		Event struct {
			Seq  int64 `json:"seq"`
			Data struct {
				Message struct {
					Type   string `json:"type"`
					ChatID string `json:"chatId"`
					Text   string `json:"text"`
				} `json:"message"`
			} `json:"data"`
		} `json:"event"`
	} `json:"params"`
}

// progress is how far the bot has come: the seq of the last event that came, -1 at first; and, by the id of the request
// that answers it, the seq of each event whose answer is not accepted yet.
type progress struct {
	latest int64
	open   map[int]int64
}

// follow answers until the connection ends.
func follow(path, session string, place *progress) error {
	connection, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer connection.Close()
	encoder := json.NewEncoder(connection)
	last := 1
	wanted := map[string]any{"sessions": []string{session}, "types": []string{"message.received"}}
	// What was not accepted comes again; under the same key it is the same message.
	for _, seq := range place.open {
		if seq <= place.latest {
			place.latest = seq - 1
		}
	}
	if place.latest >= 0 {
		wanted["after"] = place.latest
	}
	place.open = map[int]int64{}
	if err := encoder.Encode(request{"2.0", last, "events.subscribe", wanted}); err != nil {
		return err
	}
	reader := bufio.NewReader(connection)
	for {
		text, err := reader.ReadBytes('\n')
		if err != nil {
			return err
		}
		var told line
		if err := json.Unmarshal(text, &told); err != nil {
			return err
		}
		if told.Error != nil && told.Error.Data.Code == "SHUTTING_DOWN" {
			continue
		}
		delete(place.open, told.ID)
		switch {
		case told.Error != nil:
			log.Println(told.Error.Data.Code, told.Error.Message)
		case told.ID == 1:
			if place.latest < 0 {
				place.latest = told.Result.Cursor
			}
			fmt.Println("following")
		case told.Method == "event":
			event := told.Params.Event
			message := event.Data.Message
			if message.Type == "text" && !strings.HasSuffix(message.ChatID, "@g.us") {
				last++
				place.open[last] = event.Seq
				err := encoder.Encode(request{"2.0", last, "message.send", map[string]any{
					"sessionId": session, "to": message.ChatID, "text": message.Text,
					"idempotencyKey": fmt.Sprintf("echo-%d", event.Seq),
				}})
				if err != nil {
					return err
				}
			}
			place.latest = event.Seq
		}
	}
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go run main.go SOCKET SESSION")
	}
	place := &progress{latest: -1}
	for {
		err := follow(os.Args[1], os.Args[2], place)
		log.Println(err)
		time.Sleep(time.Second)
	}
}
