package cni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/source/cni/lease"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Kernel compares an attachment with what is really there, for CHECK. The error says what differs.
type Kernel interface {
	Check(ctx context.Context, link table.Link) error
}

// Options are what a Server works with. Tables, DB, StateDir and Log are required.
type Options struct {
	Tables   *table.Tables
	DB       *state.DB
	StateDir string        // holds the journal, e.g. journal.StateDir
	Boot     string        // names this run of the machine, which ends with all containers; empty: not known
	Root     string        // where the host's files are seen from here, e.g. /host; empty: at /
	Kernel   Kernel        // nil: CHECK looks at the tables alone
	Health   func() error  // what else keeps the node from taking workloads; nil: nothing
	Rest     time.Duration // of an address before it is given out again; 0: a minute
	Patience time.Duration // of an ADD; 0: a minute. A DEL has half of it
	Multus   func() bool   // Multus calls, and attaches further NICs itself; nil: it does not
	Others   Others        // nil: there are none
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Server answers CNI calls.
type Server struct {
	Options
	leases  *lease.Book
	records journal.Dir[record]
	queue   journal.Dir[agent.Request]
	woken   chan struct{}

	joining sync.Mutex // held while a further NIC's addresses are compared with those of others

	mu       sync.Mutex // guards all below
	turns    map[state.Key]*turn
	networks map[state.Key]string // name of the network that an attachment was made for: the scope of GC
	over     []*call              // attachments that ended with an earlier run of the machine
	names    map[string]state.Key // who has a host-side name
}

// record is an attachment on disk.
type record struct {
	Version     int              `json:"version"`
	NetworkName string           `json:"networkName"`
	Boot        string           `json:"boot,omitempty"` // run of the machine that it was made in
	Attachment  table.Attachment `json:"attachment"`
}

// Valid makes a record that says nothing a damaged one.
func (r record) Valid() error {
	a := r.Attachment
	if r.Version != 1 || a.ContainerID == "" || a.Interface == "" || a.HostName == "" || a.Incarnation == 0 {
		return fmt.Errorf("it is no attachment of version 1")
	}
	for _, x := range a.Addresses {
		if !x.IsValid() {
			return fmt.Errorf("it has an address that is none")
		}
	}
	return nil
}

// New reads the journal, puts its attachments into the table and marks it synced. DELs that came while no agent answered
// are taken into account. What could not be read is logged and left out.
func New(o Options) (*Server, error) {
	if o.Rest == 0 {
		o.Rest = time.Minute
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		Options: o, records: journal.Dir[record]{Path: o.StateDir + "/" + journal.Attachments}, queue: journal.Queue[agent.Request](o.StateDir),
		turns: map[state.Key]*turn{}, networks: map[state.Key]string{}, names: map[string]state.Key{}, woken: make(chan struct{}, 1),
	}
	attachments, err := s.load()
	if err != nil {
		return nil, fmt.Errorf("replay CNI journal: %w", err)
	}
	var warnings []error
	s.leases, warnings = lease.Open(o.Tables, o.StateDir, o.Rest, attachments, o.Now())
	for _, w := range warnings {
		o.Log.Warn("replay CNI journal", "error", w)
	}
	err = o.DB.Write(func(tx *state.Tx) error {
		for _, a := range attachments {
			o.Tables.Attachments.Put(tx, a)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	drop := func(c *call) error { // no need to wait: links that are not wanted go before any is made
		if err := s.forget(c); err != nil {
			return err
		}
		s.free(c)
		return s.queue.Delete(journal.Name(c.containerID, c.ifname))
	}
	for _, c := range s.over {
		if err := drop(c); err != nil {
			return nil, fmt.Errorf("drop attachment of container %s, which ended with an earlier run of the machine: %w", c.containerID, err)
		}
	}
	s.eachQueued(drop)
	return s, o.DB.Write(func(tx *state.Tx) error { o.Tables.Attachments.MarkSynced(tx); return nil })
}

// load reads the journal. An attachment whose network namespace is gone stays until its DEL or GC: only the runtime
// knows whether it is over. That of an earlier run of the machine is: no namespace outlives that.
func (s *Server) load() (attachments []table.Attachment, err error) {
	records, damaged, err := s.records.All()
	if err != nil {
		return nil, err
	}
	for _, d := range damaged {
		s.Log.Error("replay CNI journal: an attachment is lost; delete its pod", "error", d)
	}
	for _, r := range records {
		a := r.Value.Attachment
		key := s.Tables.Attachments.Key(a)
		if _, twice := s.networks[key]; twice {
			s.Log.Error("replay CNI journal: two records of one attachment; the second is left out", "record", r.Name)
			continue
		}
		s.networks[key], s.names[a.HostName] = r.Value.NetworkName, key
		attachments = append(attachments, a)
		if r.Value.Boot != "" && s.Boot != "" && r.Value.Boot != s.Boot {
			s.over = append(s.over, &call{containerID: a.ContainerID, ifname: a.Interface})
			continue
		}
		c := call{netns: a.Netns}
		if err := c.checkNetns(s.Root); err != nil {
			s.Log.Warn("attachment of a container that is gone; it is kept until DEL or GC", "container", a.ContainerID, "interface", a.Interface, "pod", a.Namespace+"/"+a.Pod, "netns", a.Netns)
		}
	}
	if len(s.over) > 0 {
		s.Log.Info("the machine has been restarted: attachments of the time before are over", "attachments", len(s.over))
	}
	return attachments, nil
}

// Register adds the CNI paths to a mux.
func (s *Server) Register(mux *http.ServeMux) {
	for path, serve := range map[string]func(context.Context, agent.Request) (any, error){
		agent.PathAdd: s.Add, agent.PathDel: s.Del, agent.PathCheck: s.Check, agent.PathStatus: s.Status, agent.PathGC: s.GC,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, serve) })
	}
}

const maxRequest = 8 << 20 // bytes

func (s *Server) serve(w http.ResponseWriter, r *http.Request, serve func(context.Context, agent.Request) (any, error)) {
	began := s.Now()
	var request agent.Request
	var answer any
	err := json.NewDecoder(io.LimitReader(r.Body, maxRequest)).Decode(&request)
	if err != nil {
		err = types.NewError(types.ErrDecodingFailure, fmt.Sprintf("request: %v", err), "")
	} else {
		answer, err = serve(r.Context(), request)
	}
	var body []byte
	if err == nil && answer != nil {
		if body, err = json.Marshal(answer); err != nil {
			err = fmt.Errorf("encode result: %w", err)
		}
	}
	status := http.StatusOK
	log := s.Log.With("path", r.URL.Path, "container", request.ContainerID, "interface", request.Interface, "args", request.Args, "took", s.Now().Sub(began))
	if err != nil {
		refused := cniError(err)
		status = httpStatus(refused.Code)
		body, _ = json.Marshal(refused) // three plain fields
		log.Warn("CNI call refused", "code", refused.Code, "error", refused)
	} else {
		log.Debug("CNI call done", "answer", string(body))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that went away has its own trouble
}

// cniError is the error as CNI wants it.
func cniError(err error) *types.Error {
	refused := (*types.Error)(nil)
	if errors.As(err, &refused) {
		return refused
	}
	return types.NewError(types.ErrInternal, err.Error(), "")
}

func httpStatus(code uint) int {
	switch code {
	case types.ErrTryAgainLater, types.ErrPluginNotAvailable, types.ErrLimitedConnectivity:
		return http.StatusServiceUnavailable
	case types.ErrUnknownContainer:
		return http.StatusNotFound
	case types.ErrInternal, types.ErrIOFailure:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// turn makes calls about one attachment wait for each other.
type turn struct {
	token   chan struct{}
	waiting int
}

// take waits for the turn of a call about an attachment and returns what ends it.
func (s *Server) take(ctx context.Context, key state.Key) (done func(), err error) {
	s.mu.Lock()
	t := s.turns[key]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		s.turns[key] = t
	}
	t.waiting++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(s.turns, key)
		}
	}
	select {
	case t.token <- struct{}{}:
		return func() { <-t.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, later("another call about this container is not done yet", ctx.Err().Error())
	}
}
