package claim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/nettest/pace"
	"weftnet.io/weftnet/internal/sink/kube/block"
	"weftnet.io/weftnet/internal/sink/kube/object"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

// Plan is what a run shall be.
type Plan struct {
	*rand.Rand
	Agents     int
	Lasts      time.Duration
	Life       time.Duration // mean time between two deaths of any agent; 0: none dies
	Kubeconfig string        // of an API server; empty: one in memory
	Dir        string        // for files
}

const (
	outstanding = 64  // NICs of each agent that wait at one time
	living      = 256 // NICs of each agent that live before one is returned for each that comes
)

// patience is how long may pass without an answer to anything.
var patience = pace.Slow(time.Minute)

// Account is what came of a run.
type Account struct {
	Took     time.Duration
	Claims   int // answered
	Again    int // answers to agents that began anew, about NICs that live
	Refused  int // answers without an address
	Returned int
	Deaths   int
	Cut      int // claims that were on their way at a death
}

// Rate is claims per second.
func (a Account) Rate() float64 { return float64(a.Claims) / a.Took.Seconds() }

func (a Account) String() string {
	return fmt.Sprintf("%d claims in %v (%.0f/s), %d answered again, %d refused, %d returned; agents died %d times, with %d claims on their way",
		a.Claims, a.Took.Round(time.Millisecond), a.Rate(), a.Again, a.Refused, a.Returned, a.Deaths, a.Cut)
}

// run is one.
type run struct {
	Plan
	api    *rest.Config
	lent   bool // the API server is one of others
	agents []*agent
	fail   context.CancelCauseFunc
	heard  atomic.Int64 // answers, of whatever kind

	mu      sync.Mutex // guards what follows
	holds   map[netip.Addr]string
	account Account
	over    bool // nothing more is ordered
	made    int
}

// agent is one, in all its lives.
type agent struct {
	*run
	node string

	mu      sync.Mutex // guards what follows; taken before that of run
	in      *json.Encoder
	command *exec.Cmd
	ended   chan struct{}
	waiting map[string]bool
	live    map[string]netip.Prefix
	order   []string // that live, the oldest first
	again   map[string]bool
}

// Run does it.
func Run(ctx context.Context, p Plan) (a Account, err error) {
	r := &run{Plan: p, holds: map[netip.Addr]string{}, lent: p.Kubeconfig != ""}
	if !r.lent {
		server, stop, err := memory(p.Dir)
		if err != nil {
			return a, err
		}
		defer stop()
		r.Kubeconfig = server
	}
	if r.api, err = clientcmd.BuildConfigFromFlags("", r.Kubeconfig); err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, r.clear(context.WithoutCancel(ctx))) }()
	ctx, r.fail = context.WithCancelCause(ctx)
	defer r.fail(nil)
	for i := range p.Agents {
		one := &agent{run: r, node: fmt.Sprint("claims-", i), live: map[string]netip.Prefix{}}
		r.agents = append(r.agents, one)
		defer one.end(true)
		if err := one.begin(); err != nil {
			return a, err
		}
	}
	if err := r.kill(ctx); err != nil {
		return a, err
	}
	r.mu.Lock()
	r.over = true
	a = r.account
	r.mu.Unlock()
	return a, r.settle(ctx)
}

// memory is an API server in this process, and a kubeconfig for it.
func memory(dir string) (kubeconfig string, stop func(), err error) {
	e := &ending{}
	server := apitest.New(e)
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}],
"clusters": [{"name": "c", "cluster": {"server": %q}}]}`, server.Config().Host)
	kubeconfig = filepath.Join(dir, "claims.kubeconfig")
	return kubeconfig, e.end, os.WriteFile(kubeconfig, []byte(text), 0o600)
}

// ending is what a server of apitest ends with.
type ending struct{ all []func() }

func (*ending) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (e *ending) Cleanup(f func())                { e.all = append(e.all, f) }
func (e *ending) end() {
	for _, f := range e.all {
		f()
	}
}

// kill kills an agent now and then, and begins it anew, until the time is over.
func (r *run) kill(ctx context.Context) error {
	began := time.Now()
	over := time.NewTimer(r.Lasts)
	defer over.Stop()
	for {
		next := make(<-chan time.Time)
		if r.Life > 0 {
			next = time.After(time.Duration(r.ExpFloat64() * float64(r.Life)))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-over.C:
			r.mu.Lock()
			r.account.Took = time.Since(began)
			r.mu.Unlock()
			return nil
		case <-next:
			a := r.agents[r.IntN(len(r.agents))]
			a.end(false)
			if err := a.begin(); err != nil {
				return err
			}
		}
	}
}

// begin starts a life of the agent.
func (a *agent) begin() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(role{Node: a.node, Kubeconfig: a.Kubeconfig})
	if err != nil {
		return err
	}
	c := exec.Command(self)
	c.Env, c.Stderr = append(os.Environ(), environment+"="+string(text)), os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start agent %s: %w", a.node, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.command, a.in, a.ended, a.waiting, a.again = c, json.NewEncoder(in), make(chan struct{}), map[string]bool{}, map[string]bool{}
	first := asks{All: true}
	for container, has := range a.live {
		first.Order = append(first.Order, nic{container, has})
		a.again[container] = true
	}
	go a.listen(c, out, a.ended)
	a.tell(first)
	a.fill(nil)
	return nil
}

// tell says something to the agent. One that is being killed does not hear it.
func (a *agent) tell(q asks) { _ = a.in.Encode(q) }

// end kills the agent.
func (a *agent) end(last bool) {
	a.mu.Lock()
	c, ended := a.command, a.ended
	a.command = nil
	a.mu.Unlock()
	if c == nil {
		return
	}
	_ = c.Process.Kill() // it has ended already
	<-ended
	if last {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.run.mu.Lock()
	defer a.run.mu.Unlock()
	a.account.Deaths++
	a.account.Cut += len(a.waiting)
}

// listen takes answers until the agent has ended.
func (a *agent) listen(c *exec.Cmd, out io.Reader, ended chan struct{}) {
	defer close(ended)
	in := json.NewDecoder(out)
	for {
		var said []answer
		if err := in.Decode(&said); err != nil {
			break
		}
		if err := a.take(c, said); err != nil {
			a.fail(err)
		}
	}
	err := c.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.command == c {
		a.fail(fmt.Errorf("agent %s has ended by itself: %w", a.node, err))
	}
}

// take takes answers of a life of the agent, and orders anew. What a killed agent has said before counts: it may have reached the runtime.
func (a *agent) take(c *exec.Cmd, said []answer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard.Add(int64(len(said)))
	var errs []error
	for _, s := range said {
		errs = append(errs, a.one(s))
	}
	if a.command == c {
		a.fill(nil)
	}
	return errors.Join(errs...)
}

// one takes an answer.
func (a *agent) one(s answer) error {
	a.run.mu.Lock()
	defer a.run.mu.Unlock()
	had, lives := a.live[s.Container]
	switch {
	case s.Gone:
		return nil
	case s.Why != "":
		a.account.Refused++
		return nil
	case lives && had != s.Address:
		return fmt.Errorf("%s of %s had %s, and has %s after its agent began anew", s.Container, a.node, had, s.Address)
	case lives:
		if a.again[s.Container] {
			delete(a.again, s.Container)
			a.account.Again++
		}
		return nil
	case !a.waiting[s.Container]:
		return nil // it has been returned meanwhile
	}
	delete(a.waiting, s.Container)
	if other, twice := a.holds[s.Address.Addr()]; twice {
		return fmt.Errorf("%s was given to %s of %s, and %s has it", s.Address.Addr(), s.Container, a.node, other)
	}
	a.holds[s.Address.Addr()] = s.Container
	a.live[s.Container] = s.Address
	a.order = append(a.order, s.Container)
	if !a.over {
		a.account.Claims++
	}
	return nil
}

// fill orders as many as may wait, and returns those that have lived longest, or these. The caller has the agent's lock.
func (a *agent) fill(these []string) {
	a.run.mu.Lock()
	var q asks
	for !a.over && len(a.waiting) < outstanding {
		a.made++
		container := fmt.Sprintf("%s-%d", a.node, a.made)
		a.waiting[container] = true
		q.Order = append(q.Order, nic{Container: container})
	}
	if more := len(a.order) - living; these == nil && more > 0 {
		these = slices.Clone(a.order[:more])
	}
	for _, container := range these {
		delete(a.holds, a.live[container].Addr())
		delete(a.live, container)
		delete(a.again, container)
		q.Return = append(q.Return, container)
		a.account.Returned++
	}
	a.order = slices.DeleteFunc(a.order, func(c string) bool { return a.live[c] == netip.Prefix{} })
	a.run.mu.Unlock()
	if len(q.Order)+len(q.Return) > 0 {
		a.tell(q)
	}
}

// settle waits until nothing is on its way, and compares what the API server has with what lives; then with nothing, when all has been returned.
func (r *run) settle(ctx context.Context) error {
	if err := r.compare(ctx); err != nil {
		return err
	}
	for _, a := range r.agents {
		a.mu.Lock()
		a.fill(slices.Collect(maps.Keys(a.live)))
		a.mu.Unlock()
	}
	return r.compare(ctx)
}

// compare waits until the API server has the NICs that live, and no others. It gives up when agents have said nothing for long.
func (r *run) compare(ctx context.Context) error {
	heard, quiet := int64(-1), time.Now()
	for {
		diff, err := r.differs(ctx)
		if err != nil || diff == "" {
			return err
		}
		if now := r.heard.Load(); now != heard {
			heard, quiet = now, time.Now()
		}
		if time.Since(quiet) > patience {
			return errors.New("the API server has not what lives: " + diff)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond): // between questions
		}
	}
}

// differs says what the API server has and should not, or the other way round; empty: nothing.
func (r *run) differs(ctx context.Context) (string, error) {
	blocks, err := r.blocks(ctx)
	if err != nil {
		return "", err
	}
	has := map[netip.Addr][]string{}
	for i := range blocks {
		b, err := block.Read(&blocks[i])
		if err != nil {
			return "", err
		}
		for addr, u := range b.Used {
			for _, h := range u.Holders {
				has[addr] = append(has[addr], h.Container)
			}
		}
	}
	for _, a := range r.agents {
		a.mu.Lock()
		n := len(a.waiting)
		a.mu.Unlock()
		if n > 0 {
			return fmt.Sprintf("%d claims of %s are not answered", n, a.node), nil
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for addr, c := range r.holds {
		if !slices.Equal(has[addr], []string{c}) {
			return fmt.Sprintf("%s is that of %s, and the API server has %v", addr, c, has[addr]), nil
		}
	}
	for addr, holders := range has {
		if r.holds[addr] == "" {
			return fmt.Sprintf("%s is held by %v, which is not there", addr, holders), nil
		}
	}
	return "", nil
}

func (r *run) client() (object.Client[v1alpha1.AddressBlock, *v1alpha1.AddressBlock], error) {
	return object.Connect[v1alpha1.AddressBlock](r.api, v1alpha1.AddToScheme, v1alpha1.SchemeGroupVersion, v1alpha1.AddressBlockResource)
}

// blocks are those of the range.
func (r *run) blocks(ctx context.Context) ([]v1alpha1.AddressBlock, error) {
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	var list v1alpha1.AddressBlockList
	err = client.List(ctx, "", &list)
	return slices.DeleteFunc(list.Items, func(o v1alpha1.AddressBlock) bool {
		b, err := block.Read(&o)
		return err != nil || b.Space != space
	}), err
}

// clear leaves nothing behind on an API server of others.
func (r *run) clear(ctx context.Context) error {
	if !r.lent {
		return nil
	}
	client, err := r.client()
	if err != nil {
		return err
	}
	blocks, err := r.blocks(ctx)
	if err != nil {
		return err
	}
	for i := range blocks {
		err = errors.Join(err, client.Delete(ctx, &blocks[i]))
	}
	return err
}
