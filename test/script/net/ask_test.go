package net

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// httpCommands are about what nodes answer by HTTP.
var httpCommands = map[string]command{"ask": ask, "asked": asked}

// ask asks once, STATION ADDRESS:PORT PATH, and prints the answer: status, headers, document.
func ask(l *line) error {
	text, err := l.answer()
	if err != nil {
		return err
	}
	return l.printf("%s", text)
}

// asked asks again and again until the answer has a text.
func asked(l *line) error {
	wanted := strings.Join(l.raw[3:], " ")
	for {
		text, err := l.answer()
		if err == nil && strings.Contains(text, wanted) {
			return l.printf("%s", text)
		}
		select {
		case <-l.ctx.Done():
			return errors.Join(fmt.Errorf("%s does not say %q: %s", l.raw[1], wanted, text), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// answer is what a server says to a station. All of the call is made by the one thread that is in the station's namespace.
func (l *line) answer() (string, error) {
	from, err := l.station(l.raw[0])
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = from.Do(func() error {
		c, err := net.Dial("tcp", l.raw[1])
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		request, err := http.NewRequest(http.MethodGet, "http://"+l.raw[1]+l.raw[2], nil)
		if err != nil {
			return err
		}
		request.Close = true
		if err := request.Write(c); err != nil {
			return err
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		return answer.Write(&text)
	})
	return text.String(), err
}
