// Package health answers health checks by HTTP: of load balancers about Services, and about the node. It keeps a listener for each row
// of table health-checks.
//
// # The world it models
//
// Load balancers were made for kube-proxy, so answers are those of kube-proxy 1.36, to the name of each field. At the
// healthCheckNodePort of a Service, whatever the path: 200 if it has endpoints on this node and the node translates, else 503, and
// header X-Load-Balancing-Endpoint-Weight says how many there are. At the address of the node: /livez says whether the node translates,
// /healthz as well whether it takes new calls, which it does not when it is about to be deleted.
//
// # Invariants
//
//   - What a listener says follows its row without being opened anew; a port is closed for no longer than it takes no row to want it.
//   - A port that another program has is an error of its row, and is tried again.
//
// # Example
//
//	checks := health.New(func() health.State { return health.State{Healthy: true} })
//	defer checks.Close()
//	loop := reconcile.Loop[healthcheck.Check]{Table: healthcheck.Table, Sink: checks, WaitSynced: true}
package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/healthcheck"
)

// State is whether this node translates what calls services.
type State struct {
	Healthy bool
	Updated time.Time // when what is translated was last as it should be
}

// Checks are the listeners.
type Checks struct {
	state func() State
	now   func() time.Time

	mu   sync.Mutex
	open map[state.Key]*check
}

type check struct {
	server *http.Server

	mu  sync.Mutex
	row healthcheck.Check
}

// New makes checks that tell of this state.
func New(of func() State) *Checks {
	return &Checks{state: of, now: time.Now, open: map[state.Key]*check{}}
}

func keyOf(r healthcheck.Check) state.Key { return state.Join(r.Network, r.Address) }

// Dump gives what is served.
func (c *Checks) Dump(context.Context) (iter.Seq2[state.Key, healthcheck.Check], error) {
	rows := map[state.Key]healthcheck.Check{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, one := range c.open {
		rows[key] = one.about()
	}
	return maps.All(rows), nil
}

// Set serves rows.
func (c *Checks) Set(ctx context.Context, rows []healthcheck.Check) error {
	var errs []error
	for _, r := range rows {
		if err := c.set(ctx, r); err != nil {
			errs = append(errs, &reconcile.RowError{Key: keyOf(r), Err: err})
		}
	}
	return errors.Join(errs...)
}

func (c *Checks) set(ctx context.Context, r healthcheck.Check) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.open[keyOf(r)]; one != nil {
		one.mu.Lock()
		defer one.mu.Unlock()
		one.row = r
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, r.Network, r.Address)
	if err != nil {
		return fmt.Errorf("answer health checks: %w", err)
	}
	one := &check{row: r}
	one.server = &http.Server{Handler: c.handler(one), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	c.open[keyOf(r)] = one
	go func() {
		if err := one.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.forget(keyOf(r), one) // the next comparison opens it anew
		}
	}()
	return nil
}

// forget takes out what has ended by itself.
func (c *Checks) forget(key state.Key, one *check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key] == one {
		delete(c.open, key)
	}
}

// Unset ends what rows ask for.
func (c *Checks) Unset(_ context.Context, rows []healthcheck.Check) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range rows {
		if one := c.open[keyOf(r)]; one != nil {
			delete(c.open, keyOf(r))
			_ = one.server.Close() // what it says is of a listener that is closed in any case
		}
	}
	return nil
}

// Close ends all.
func (c *Checks) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, one := range c.open {
		delete(c.open, key)
		_ = one.server.Close()
	}
}

func (c *check) about() healthcheck.Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.row
}

func (c *Checks) handler(one *check) http.Handler {
	if one.row.Name != "" {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.ofService(w, one.about()) })
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		eligible := !one.about().Leaving
		c.ofNode(w, &eligible)
	})
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { c.ofNode(w, nil) })
	return mux
}

// aboutService is kube-proxy's document about a Service.
type aboutService struct {
	Service struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"service"`
	Endpoints int  `json:"localEndpoints"`
	Healthy   bool `json:"serviceProxyHealthy"`
}

func (c *Checks) ofService(w http.ResponseWriter, row healthcheck.Check) {
	doc := aboutService{Endpoints: row.Endpoints, Healthy: c.state().Healthy}
	doc.Service.Namespace, doc.Service.Name = row.Namespace, row.Name
	w.Header().Set("X-Load-Balancing-Endpoint-Weight", strconv.Itoa(row.Endpoints))
	text, _ := json.MarshalIndent(doc, "", "\t") // strings and numbers: it cannot fail
	write(w, doc.Healthy && row.Endpoints > 0, text)
}

// aboutNode is kube-proxy's document about itself.
type aboutNode struct {
	Updated  time.Time `json:"lastUpdated"`
	Now      time.Time `json:"currentTime"`
	Eligible *bool     `json:"nodeEligible,omitempty"`
	Healthy  bool      `json:"healthy"`
}

func (c *Checks) ofNode(w http.ResponseWriter, eligible *bool) {
	s := c.state()
	doc := aboutNode{Updated: s.Updated, Now: c.now(), Eligible: eligible, Healthy: s.Healthy}
	well := s.Healthy && (eligible == nil || *eligible)
	if well {
		doc.Updated = doc.Now // as kube-proxy has it: who reads it looks whether that is long ago
	}
	text, _ := json.Marshal(doc)
	write(w, well, text)
}

func write(w http.ResponseWriter, well bool, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !well {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(text) // who asked has gone
}
