package net

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"weftnet.io/weftnet/internal/source/kube/apitest"
)

// sharedCommands are about addresses that the nodes of a cluster share, which are kept in objects of an API server.
var sharedCommands = map[string]command{"shares": shares, "cut": reach("away"), "heal": reach("up"), "books": books, "enter": enter}

// shared is that server, and what is between it and each node's agent.
type shared struct {
	*apitest.Server
	gates map[string]*gate
}

// ending makes a server end with its script.
type ending struct{ *testscript.TestScript }

func (e ending) Errorf(format string, args ...any) { e.Fatalf(format, args...) }
func (e ending) Cleanup(f func())                  { e.Defer(f) }

// shares gives all nodes that are added from now on a server for addresses. The resources that are named exist in it beside those that always do.
func shares(l *line) error {
	l.shared = &shared{apitest.New(ending{l.ts}), map[string]*gate{}}
	l.shared.Serve(l.args...)
	l.BooksOnly = true
	return nil
}

// reaches puts something between the next node and the server.
func (s *shared) reaches(l *line, node string) {
	if s == nil {
		return
	}
	s.gates[node] = &gate{Server: s.Server}
	s.gates[node].be("up")
	l.API = s.gates[node]
}

// reach changes how the agents of nodes reach the server.
func reach(mode string) command {
	return func(l *line) error {
		for _, name := range l.args {
			g := l.shared.gates[name]
			if g == nil {
				return fmt.Errorf("node %q shares no addresses", name)
			}
			g.be(mode)
		}
		return nil
	}
}

// books waits for objects whose paths begin with any of these, or for any, and prints them, one in a line.
func books(l *line) error {
	if len(l.args) == 0 {
		l.args = []string{""}
	}
	for there := false; !there; {
		changed := l.shared.Changed()
		for _, prefix := range l.args {
			there = there || len(l.shared.Paths("/apis/"+prefix)) > 0
		}
		if there {
			break
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
			return l.ctx.Err()
		}
	}
	for _, prefix := range l.args {
		for _, path := range l.shared.Paths("/apis/" + prefix) {
			var o map[string]any
			l.shared.Get(path, &o)
			text, err := json.Marshal(o)
			if err != nil {
				return err
			}
			if err := l.printf("%s %s\n", strings.TrimPrefix(path, "/apis/"), text); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter puts objects of a file into the server. Their resource is their kind in small letters, with an s.
func enter(l *line) error {
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader([]byte(l.ts.ReadFile(l.arg(0))))))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &u.Object); err != nil {
			return err
		}
		path := "/apis/" + u.GetAPIVersion()
		if n := u.GetNamespace(); n != "" {
			path += "/namespaces/" + n
		}
		l.shared.Put(path+"/"+strings.ToLower(u.GetKind())+"s/"+u.GetName(), u)
	}
}
