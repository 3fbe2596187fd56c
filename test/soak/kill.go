package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/soak/churn"
)

// killing is what the soak kill knows.
type killing struct {
	*bed
	*nettest.Cluster
	node    *nettest.Node
	alive   []*nettest.Pod // attached, and not to be deleted
	dead    []*nettest.Pod // to be deleted, as often as it takes
	made    int
	refused int
	deleted int
	queued  int
	deaths  map[string]int
}

const rules = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: db}
spec:
  endpointSelector: {matchLabels: {app: db}}
  ingress:
  - fromEndpoints: [{matchLabels: {app: web}}]
    toPorts: [{ports: [{port: "5432", protocol: TCP}]}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress:
  - toEndpoints: [{}]
  egressDeny:
  - toEndpoints: [{matchLabels: {app: api}}]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: 10.96.0.20
  selector: {app: db}
  ports: [{name: a, port: 5432, protocol: TCP}, {name: b, port: 53, protocol: UDP}]
`

// fresh is how many rounds pass between comparisons with an agent that begins with nothing.
const fresh = 10

// kills kills an agent while it attaches and detaches pods. A runtime does what runtimes do: a failed ADD is followed by a
// DEL, a failed DEL is repeated. Then nothing is left of what is gone, and everything equals what an agent makes that
// finds nothing but the journal.
func kills(ctx context.Context, b *bed) error {
	c, err := b.cluster("kill")
	if err != nil {
		return err
	}
	defer c.Close()
	k := &killing{bed: b, Cluster: c, deaths: map[string]int{}}
	if k.node, err = c.AddNode("a", nil); err != nil {
		return err
	}
	if err := c.Apply(ctx, []byte(rules)); err != nil {
		return err
	}
	for round := range b.rounds {
		if err := k.round(ctx); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if err := k.look(ctx); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if round%fresh == fresh-1 || round == b.rounds-1 {
			if err := k.compare(ctx); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
	}
	b.printf("killed: %v", k.deaths)
	b.printf("%d ADDs done and %d cut short, %d DELs done at once and %d queued; %d pods live",
		k.made, k.refused, k.deleted, k.queued, len(k.alive))
	return nil
}

// round has pods come and go, kills the agent meanwhile, and lets a new one and the runtime clear up.
func (k *killing) round(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	kind := []string{"at a step of the start", "at a step of ADDs and DELs", "after a while"}[k.IntN(3)]
	var err error
	later := time.AfterFunc(time.Hour, k.node.Kill)
	defer later.Stop()
	switch kind {
	case "at a step of the start":
		k.node.Stop()
		if err = k.node.StartMortal(1 + k.Uint64N(120)); err == nil {
			err = k.Settle(ctx)
		}
	case "at a step of ADDs and DELs":
		err = k.node.Die(ctx, 1+k.Uint64N(120))
	default:
		later.Reset(time.Duration(k.IntN(150)) * time.Millisecond)
	}
	if err != nil {
		return err
	}
	k.act()
	if later.Stop(); !isClosed(k.node.Over()) {
		kind = "when all was done"
	}
	k.deaths[kind]++
	k.node.Kill()
	if k.IntN(2) == 0 {
		k.clear() // queued, for no agent answers
	}
	if err := k.node.Start(); err != nil {
		return err
	}
	for len(k.dead) > 0 && ctx.Err() == nil {
		k.clear()
	}
	return k.Settle(ctx)
}

// act makes and deletes pods at once.
func (k *killing) act() {
	var all sync.WaitGroup
	var mu sync.Mutex
	for range 1 + k.IntN(6) {
		if k.IntN(10) < len(k.alive) {
			i := k.IntN(len(k.alive))
			p := k.alive[i]
			k.alive = slices.Delete(k.alive, i, i+1)
			all.Go(func() {
				err := p.Del()
				mu.Lock()
				defer mu.Unlock()
				k.count(err)
				k.dead = append(k.dead, p) // once more: runtimes do that, too
			})
			continue
		}
		if isClosed(k.node.Over()) {
			continue
		}
		app := []string{"web", "db", "api"}[k.IntN(3)]
		spec := nettest.PodSpec{Name: fmt.Sprint("pod", k.made+k.refused+k.IntN(1<<30)), Labels: map[string]string{"app": app}}
		all.Go(func() {
			p, err := k.node.PreparePod(spec)
			if err == nil {
				_, err = p.Add()
			}
			if err == nil {
				err = p.Runs()
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				k.made++
				k.alive = append(k.alive, p)
			case p != nil:
				k.refused++
				k.dead = append(k.dead, p)
			}
		})
	}
	all.Wait()
}

func (k *killing) count(err error) {
	switch {
	case err != nil:
	case isClosed(k.node.Over()):
		k.queued++
	default:
		k.deleted++
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// clear makes the DELs that are owed.
func (k *killing) clear() {
	var left []*nettest.Pod
	for _, p := range k.dead {
		err := p.Del()
		k.count(err)
		if err == nil {
			err = p.Forget()
		}
		if err != nil {
			left = append(left, p)
		}
	}
	k.dead = left
}

// look finds what is there and should not be, or the other way round.
func (k *killing) look(ctx context.Context) error {
	text, err := k.node.Dump(ctx)
	if err != nil {
		return err
	}
	kernel, err := k.node.Kernel(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for line := range strings.Lines(text + kernel) {
		for _, sign := range []string{"that is gone", "nothing known", "of no service", ".tmp-", "file queue/", "damaged"} {
			if strings.Contains(line, sign) {
				errs = append(errs, errors.New("left behind: "+strings.TrimSpace(line)))
			}
		}
	}
	for what, count := range map[string]int{
		"table attachments: ": 1, "table links: ": 1, "table workloads: ": 1, "map nics: weft": 1, "file attachments/": 1, "program from_pod on weft": 1, "program to_pod on weft": 1,
	} {
		if have, want := strings.Count(text+kernel, what), count*len(k.alive); have != want {
			errs = append(errs, fmt.Errorf("%d lines %q for %d pods", have, what, len(k.alive)))
		}
	}
	if have, want := strings.Count(kernel, "device weft"), len(k.alive)+1; have != want {
		errs = append(errs, fmt.Errorf("%d devices for %d pods and the tunnel", have, len(k.alive)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the agent said:\n%s\nall there is:\n%s%s\n%w", tail(k.node.Log(), 60), text, kernel, err)
	}
	return nil
}

func tail(text string, lines int) string {
	list := strings.Split(text, "\n")
	return strings.Join(list[max(0, len(list)-lines):], "\n")
}

// compare has an agent begin with nothing but the journal.
func (k *killing) compare(ctx context.Context) error { return fromScratch(ctx, k.node) }

// churns has a cluster churn, and compares what its nodes have then with what agents make that begin with nothing.
func churns(ctx context.Context, b *bed) error {
	c, err := b.cluster("churn")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := churn.Run(ctx, c, b.Rand, b.lasts, b.printf); err != nil {
		return err
	}
	for _, n := range c.Nodes() {
		if err := fromScratch(ctx, n); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
	}
	return nil
}

// fromScratch has the agent of a node begin with nothing but the journal, and compares what it makes with what there was.
func fromScratch(ctx context.Context, n *nettest.Node) error {
	have, err := n.Dump(ctx)
	if err != nil {
		return err
	}
	n.Stop()
	if err := n.Wipe(); err != nil {
		return err
	}
	if err := n.Start(); err != nil {
		return fmt.Errorf("begin with nothing but the journal: %w", err)
	}
	want, err := n.Dump(ctx)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(have, "\n")); diff != "" {
		return fmt.Errorf("not what an agent makes that begins with nothing (-fresh +have):\n%s", diff)
	}
	return nil
}
