package churn

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"weftnet.io/weftnet/internal/nettest"
)

// happening is something that happens. It says what, or "" if there was nothing to do.
type happening struct {
	name   string
	weight int
	do     func(*churning, context.Context) (what string, err error)
}

var happenings = []happening{
	{"a backend comes", 4, (*churning).come},
	{"a backend retires", 2, (*churning).retire},
	{"a backend begins to end", 2, (*churning).terminate},
	{"a backend is lost", 1, (*churning).lose},
	{"a service changes", 2, (*churning).change},
	{"a service comes or goes", 2, (*churning).side},
	{"guests", 2, (*churning).invite},
	{"a policy comes or goes", 2, (*churning).rule},
	{"labels change", 2, (*churning).relabel},
	{"a pod comes or goes", 1, (*churning).bystand},
}

// most is how many backends, and pods that do nothing, there are at a time.
const most = 6

// event lets something happen, at times while an agent is away.
func (c *churning) event(ctx context.Context) error {
	if c.IntN(6) > 0 {
		return c.happen(ctx)
	}
	n := c.nodes[c.IntN(len(c.nodes))]
	how, end := "ends", n.Stop
	if c.IntN(2) == 0 {
		how, end = "is killed", n.Kill
	}
	c.say("the agent of %s %s", n.Name, how)
	c.counts["an agent "+how]++
	end()
	c.away = n
	for range c.IntN(4) {
		if err := c.happen(ctx); err != nil {
			return err
		}
	}
	return c.back(ctx)
}

// back starts the agent that is away, and does what waited for it.
func (c *churning) back(ctx context.Context) error {
	if c.away == nil {
		return nil
	}
	n, later := c.away, c.later
	c.away, c.later = nil, nil
	c.say("the agent of %s starts", n.Name)
	if err := n.Start(); err != nil {
		return fmt.Errorf("%w\nthe agent said:\n%s", err, last(n.Log()))
	}
	c.say("the agent of %s is there", n.Name)
	for _, do := range later {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *churning) happen(ctx context.Context) error {
	sum := 0
	for _, h := range happenings {
		sum += h.weight
	}
	pick := c.IntN(sum)
	i := 0
	for ; pick >= happenings[i].weight; i++ {
		pick -= happenings[i].weight
	}
	h := happenings[i]
	what, err := h.do(c, ctx)
	if err != nil {
		return fmt.Errorf("%s (%s): %w", h.name, what, err)
	}
	if what != "" {
		c.counts[h.name]++
		c.say("done: %s", what)
	}
	select { // at times one follows right after the other
	case <-ctx.Done():
	case <-time.After(time.Duration(c.IntN(4)*c.IntN(100)) * time.Millisecond):
	}
	return nil
}

func (c *churning) say(format string, args ...any) {
	c.events = append(c.events, time.Now().Format(clock)+" "+fmt.Sprintf(format, args...))
}

// last is the end of a log.
func last(log string) string {
	lines := strings.Split(log, "\n")
	return strings.Join(lines[max(0, len(lines)-80):], "\n")
}

// everywhere does something when what was put is in force on all nodes.
func (c *churning) everywhere(ctx context.Context, do func(context.Context) error) error {
	if c.away != nil {
		c.later = append(c.later, do)
		return nil
	}
	if err := c.Settle(ctx); err != nil {
		return err
	}
	return do(ctx)
}

// node is any whose agent runs.
func (c *churning) node() *nettest.Node {
	n := c.nodes[c.IntN(len(c.nodes))]
	if n == c.away {
		n = c.nodes[(slices.Index(c.nodes, n)+1)%len(c.nodes)]
	}
	return n
}

// member makes a backend that no service knows yet.
func (c *churning) member(ctx context.Context, n *nettest.Node, name string) (*member, error) {
	p, err := n.AddPod(ctx, nettest.PodSpec{Name: name, Labels: map[string]string{"app": "db"}})
	if err != nil {
		return nil, err
	}
	c.do(func() { c.backends[p.Station.Name] = &backend{} })
	return &member{Station: p.Station, pod: p, node: n.Name}, p.Serve(servePort)
}

func (c *churning) come(ctx context.Context) (string, error) {
	if len(c.live)+len(c.retired) >= most {
		return "", nil
	}
	c.made++
	m, err := c.member(ctx, c.node(), fmt.Sprint("db-", c.made))
	if err != nil {
		return "", err
	}
	c.live = append(c.live, m)
	return m.Name + " serves", c.publish()
}

// pick takes any backend; nil: there is none.
func (c *churning) pick() *member {
	if len(c.live) == 0 {
		return nil
	}
	return c.live[c.IntN(len(c.live))]
}

func (c *churning) unlist(m *member) error {
	c.note(m.Name, func(b *backend) *time.Time { return &b.unlisted })
	c.live = slices.DeleteFunc(c.live, func(other *member) bool { return other == m })
	return c.publish()
}

// retire takes a backend out of the services. It goes on serving until another one retires, and is not to be called.
func (c *churning) retire(ctx context.Context) (string, error) {
	m := c.pick()
	if m == nil {
		return "", nil
	}
	c.say("%s is taken out", m.Name)
	if err := c.unlist(m); err != nil {
		return m.Name, err
	}
	return m.Name + " retires", c.everywhere(ctx, func(ctx context.Context) error {
		now := time.Now()
		c.do(func() { b := c.backends[m.Name]; b.retired, b.gone = now, now })
		c.retired = append(c.retired, m)
		if len(c.retired) > 1 {
			return c.discard(ctx)
		}
		return nil
	})
}

// discard ends the backend that has been retired for longest.
func (c *churning) discard(ctx context.Context) error {
	m := c.retired[0]
	c.retired = c.retired[1:]
	c.say("%s ends", m.Name)
	c.note(m.Name, func(b *backend) *time.Time { return &b.ends })
	return m.pod.Remove(ctx)
}

// terminate lets a backend take no new calls, and keep those that it has.
func (c *churning) terminate(ctx context.Context) (string, error) {
	m := c.pick()
	if m == nil || m.terminating {
		return "", nil
	}
	m.terminating = true
	c.say("%s begins to end", m.Name)
	if err := c.publish(); err != nil {
		return m.Name, err
	}
	return m.Name + " begins to end", c.everywhere(ctx, func(context.Context) error {
		c.note(m.Name, func(b *backend) *time.Time { return &b.retired })
		return nil
	})
}

// lose ends a backend that services lead to.
func (c *churning) lose(ctx context.Context) (string, error) {
	m := c.pick()
	if m == nil {
		return "", nil
	}
	c.say("%s is lost", m.Name)
	c.note(m.Name, func(b *backend) *time.Time { return &b.unlisted })
	c.note(m.Name, func(b *backend) *time.Time { return &b.ends })
	if err := m.pod.Remove(ctx); err != nil {
		return m.Name, err
	}
	if err := c.unlist(m); err != nil {
		return m.Name, err
	}
	return m.Name + " is lost", c.everywhere(ctx, func(context.Context) error {
		now := time.Now()
		c.do(func() { b := c.backends[m.Name]; b.retired, b.gone = now, now })
		return nil
	})
}

// change changes something of a service that leads calls on as before.
func (c *churning) change(ctx context.Context) (string, error) {
	name := []string{"snat", "dsr"}[c.IntN(2)]
	s := c.services[name]
	what := ""
	switch c.IntN(3) {
	case 0:
		what = "affinity"
		if s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
			s.Spec.SessionAffinity = corev1.ServiceAffinityNone
		} else {
			s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		}
	case 1:
		what = "algorithm"
		const key = "service.cilium.io/lb-algorithm"
		s.Annotations[key] = map[string]string{"maglev": "random"}[s.Annotations[key]]
		if s.Annotations[key] == "" {
			s.Annotations[key] = "maglev"
		}
	default:
		what = "mode"
		const key = "service.cilium.io/forwarding-mode"
		if s.Annotations[key] == "dsr" {
			s.Annotations[key] = "snat"
		} else {
			s.Annotations[key] = "dsr"
		}
	}
	if err := c.publish(); err != nil {
		return what, err
	}
	return "another " + what + " of " + name, c.Settle(ctx)
}

// side makes or removes a service that is called once it is there, and when it is not.
func (c *churning) side(ctx context.Context) (string, error) {
	i := 2 + c.IntN(8)
	s := c.service(fmt.Sprint("side-", i), i)
	s.Annotations = nil
	if !c.sides[i] {
		c.sides[i] = true
		if err := c.Put(s, slice(s, 4, c.always), slice(s, 6, c.always)); err != nil {
			return s.Name, err
		}
		return s.Name + " comes", c.everywhere(ctx, func(ctx context.Context) error { return c.called(ctx, i, true) })
	}
	delete(c.sides, i)
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\n", s.Name)
	for _, family := range []int{4, 6} {
		fmt.Fprintf(&yaml, "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: %s-%d}\n", s.Name, family)
	}
	if err := c.Delete(ctx, []byte(yaml.String())); err != nil {
		return s.Name, err
	}
	return s.Name + " goes", c.everywhere(ctx, func(ctx context.Context) error { return c.called(ctx, i, false) })
}

// called calls a service from everywhere.
func (c *churning) called(ctx context.Context, i int, there bool) error {
	within := enough
	if !there {
		within = brief
	}
	if c.sides[i] != there {
		return nil // it has changed since
	}
	for _, to := range addressesOf(i) {
		for _, from := range []*nettest.Pod{c.web, c.socket} {
			ctx, cancel := context.WithTimeout(ctx, within)
			answer, err := from.Dial(ctx, "tcp", netip.AddrPortFrom(to, 80), 0, 0)
			cancel()
			if there && err != nil {
				return fmt.Errorf("%s calls %v, which is in force: %w", from.Station.Name, to, err)
			}
			if !there && err == nil {
				return fmt.Errorf("%s calls %v, which is gone: %s", from.Station.Name, to, answer)
			}
		}
	}
	return nil
}

// invite lets guests in, or no more.
func (c *churning) invite(ctx context.Context) (string, error) {
	was := c.denied
	c.do(func() { c.changed, c.denied = time.Now(), !was })
	do, what := c.Apply, "guests are kept out"
	if was {
		do, what = c.Delete, "guests are let in"
	}
	if err := do(ctx, []byte(ruleOfGuests)); err != nil {
		return what, err
	}
	return what, c.everywhere(ctx, func(context.Context) error {
		c.do(func() { c.settled = time.Now() })
		return nil
	})
}

// rule makes or removes a policy that changes nothing.
func (c *churning) rule(ctx context.Context) (string, error) {
	name := []string{"narrow", "egress", "tiers"}[c.IntN(len(extras))]
	do, what := c.Apply, "policy "+name+" comes"
	if c.extra[name] {
		do, what = c.Delete, "policy "+name+" goes"
	}
	c.extra[name] = !c.extra[name]
	return what, do(ctx, []byte(extras[name]))
}

// relabel gives a backend another identity.
func (c *churning) relabel(ctx context.Context) (string, error) {
	m := c.pick()
	if m == nil {
		return "", nil
	}
	labels := map[string]string{"app": "db"}
	if tier := []string{"", "one", "two", fmt.Sprint("t", c.IntN(100))}[c.IntN(4)]; tier != "" {
		labels["tier"] = tier
	}
	return fmt.Sprint(m.Name, " is ", labels), m.pod.Label(ctx, labels)
}

// bystand makes or removes a pod that does nothing.
func (c *churning) bystand(ctx context.Context) (string, error) {
	if len(c.others) > 0 && c.IntN(most) < len(c.others) {
		p := c.others[0]
		c.others = c.others[1:]
		return p.Station.Name + " goes", p.Remove(ctx)
	}
	c.made++
	p, err := c.node().AddPod(ctx, nettest.PodSpec{Name: fmt.Sprint("other-", c.made), Labels: map[string]string{"app": fmt.Sprint("other-", c.IntN(3))}})
	if err != nil {
		return "", err
	}
	c.others = append(c.others, p)
	return p.Station.Name + " comes", nil
}

// patience is for what waits in the end, on a machine that is busy.
const patience = 10 * time.Minute

// calm ends what waits.
func (c *churning) calm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.back(ctx); err != nil {
		return err
	}
	for len(c.retired) > 0 {
		if err := c.discard(ctx); err != nil {
			return err
		}
	}
	return c.Settle(ctx)
}
