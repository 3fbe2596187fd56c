package net

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/pace"
)

var (
	patient   = pace.Slow(20 * time.Second) // for what ought to come
	impatient = pace.Silence(time.Second)   // for what ought not
)

// line is one command of a script.
type line struct {
	*lab
	ts   *testscript.TestScript
	ctx  context.Context
	neg  bool
	raw  []string // all arguments
	args []string
	opts map[string]string // KEY=VALUE
	sets map[string]bool   // -X
}

// command does a line. Its error fails the script, or is on stderr if the line expects it.
type command func(l *line) error

var errUsage = errors.New("wrong arguments: see the comment of package net")

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	out := map[string]func(*testscript.TestScript, bool, []string){}
	for _, group := range []map[string]command{hostCommands, daemonCommands, loadCommands, httpCommands, deviceCommands, networkCommands, sharedCommands, followCommands} {
		for name, do := range group {
			out[name] = func(ts *testscript.TestScript, neg bool, args []string) { run(ts, name, neg, args, do) }
		}
	}
	for name, do := range map[string]command{
		"node": addNodes, "pod": addPod, "remove": removePod, "add": callAdd, "del": callDel, "apply": apply, "delete": remove,
		"serve": serve, "dial": dial, "ping": ping, "open": open, "say": say, "send": send, "heard": heard, "flows": flows,
		"quit": agentDo((*nettest.Node).Stop), "crash": agentDo((*nettest.Node).Kill), "start": start, "kernel": kernel, "show": show,
		"label": label, "packets": packets, "narrow": narrow, "advertise": advertise, "disk": disk, "reboot": reboot, "recreate": recreate,
	} {
		out[name] = func(ts *testscript.TestScript, neg bool, args []string) { run(ts, name, neg, args, do) }
	}
	return out
}

func run(ts *testscript.TestScript, name string, neg bool, args []string, do command) {
	wait := patient
	if neg {
		wait = impatient
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	l := &line{lab: ts.Value(labKey{}).(*lab), ts: ts, ctx: ctx, neg: neg, raw: args, opts: map[string]string{}, sets: map[string]bool{}}
	for _, a := range args {
		if k, v, ok := strings.Cut(a, "="); ok {
			l.opts[k] = v
		} else if strings.HasPrefix(a, "-") && len(a) == 2 {
			l.sets[a[1:]] = true
		} else {
			l.args = append(l.args, a)
		}
	}
	switch err := do(l); {
	case err != nil && neg:
		fmt.Fprintln(ts.Stderr(), err)
	case err != nil:
		ts.Fatalf("%s: %v", name, err)
	case neg:
		ts.Fatalf("%s: it succeeded, and should not", name)
	}
}

func (l *line) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(l.ts.Stdout(), format, args...)
	return err
}

// arg is the n-th argument.
func (l *line) arg(n int) string {
	if n >= len(l.args) {
		return ""
	}
	return l.args[n]
}

func (l *line) node(name string) (*nettest.Node, error) {
	if n := l.Node(name); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("there is no node %q", name)
}

func (l *line) pod(name string) (*nettest.Pod, error) {
	node, pod, _ := strings.Cut(name, "/")
	n, err := l.node(node)
	if err != nil {
		return nil, err
	}
	if p := n.Pod(pod); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("there is no pod %q", name)
}

func (l *line) station(name string) (*netns.Station, error) {
	if name == "outside" {
		return l.Outside, nil
	}
	if strings.Contains(name, "/") {
		p, err := l.pod(name)
		if err != nil {
			return nil, err
		}
		return p.Station, nil
	}
	n, err := l.node(name)
	if err != nil {
		return nil, err
	}
	return n.Station, nil
}

func addNodes(l *line) error {
	for _, name := range l.args {
		l.shared.reaches(l, name)
		n, err := l.AddNode(name, l.opts)
		if err != nil {
			return err
		}
		setAddresses(l.ts.Setenv, n.Station, name)
		mac, err := n.MAC()
		if err != nil {
			return err
		}
		l.ts.Setenv(name+"mac", mac)
		l.ts.Setenv("run_"+name, n.Run())
		l.ts.Setenv("conf_"+name, n.Conf())
	}
	return nil
}

func addPod(l *line) error {
	node, name, ok := strings.Cut(l.arg(0), "/")
	if !ok {
		return errUsage
	}
	n, err := l.node(node)
	if err != nil {
		return err
	}
	s, err := l.podSpec()
	if err != nil {
		return err
	}
	s.Name = name
	if count, _ := strconv.Atoi(l.arg(1)); count > 0 {
		return l.crowd(n, s, count)
	}
	p, err := n.AddPod(l.ctx, s)
	if err != nil {
		return err
	}
	setAddresses(l.ts.Setenv, p.Station, name)
	return nil
}

// podSpec is what options say of a pod.
func (l *line) podSpec() (nettest.PodSpec, error) {
	s := nettest.PodSpec{Labels: map[string]string{}, Ports: map[string]uint16{}}
	for k, v := range l.opts {
		if k == "namespace" {
			s.Namespace = v
		} else if k == "networks" {
			asks(&s, v)
		} else if k == "statefulset" {
			s.Set = v
		} else if k == "mirrors" {
			mirrors(&s, v)
		} else if k == "pool" {
			s.Annotations = map[string]string{"ipam.cilium.io/ip-pool": v}
		} else if port, ok := strings.CutPrefix(k, "port-"); ok {
			number, err := strconv.ParseUint(v, 10, 16)
			if err != nil {
				return s, err
			}
			s.Ports[port] = uint16(number)
		} else {
			s.Labels[k] = v
		}
	}
	return s, nil
}

// crowd makes many pods at once.
func (l *line) crowd(n *nettest.Node, s nettest.PodSpec, count int) error {
	made := make(chan error, count)
	for i := range count {
		one := s
		one.Name = fmt.Sprint(s.Name, i)
		go func() {
			_, err := n.AddPod(l.ctx, one)
			made <- err
		}()
	}
	var errs []error
	for range count {
		errs = append(errs, <-made)
	}
	return errors.Join(errs...)
}

func label(l *line) error {
	p, err := l.pod(l.arg(0))
	if err != nil {
		return err
	}
	return p.Label(l.ctx, l.opts)
}

func narrow(l *line) error {
	mtu, err := strconv.Atoi(l.arg(0))
	if err != nil {
		return err
	}
	return l.Wire().Narrow(mtu)
}

func advertise(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	return l.Wire().Advertise(n.Index)
}

func removePod(l *line) error {
	var pods []*nettest.Pod
	count, _ := strconv.Atoi(l.arg(1))
	for i := range max(count, 1) {
		name := l.arg(0)
		if count > 0 {
			name += fmt.Sprint(i)
		}
		p, err := l.pod(name)
		if err != nil {
			return err
		}
		pods = append(pods, p)
	}
	gone := make(chan error, len(pods))
	for _, p := range pods {
		go func() { gone <- p.Remove(l.ctx) }()
	}
	var errs []error
	for range pods {
		errs = append(errs, <-gone)
	}
	return errors.Join(errs...)
}

func callAdd(l *line) error {
	p, err := l.pod(l.arg(0))
	if err != nil {
		return err
	}
	answer, err := p.Add()
	if err != nil {
		return err
	}
	return l.printf("%s\n", answer)
}

func callDel(l *line) error {
	p, err := l.pod(l.arg(0))
	if err != nil {
		return err
	}
	return p.Del()
}

func apply(l *line) error {
	for _, name := range l.args {
		if err := l.Apply(l.ctx, []byte(l.ts.ReadFile(name))); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func remove(l *line) error {
	for _, name := range l.args {
		if err := l.Delete(l.ctx, []byte(l.ts.ReadFile(name))); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func serve(l *line) error {
	p, err := l.station(l.arg(0))
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(l.arg(1), 10, 16)
	if err != nil {
		return err
	}
	return p.Serve(uint16(port))
}

// families are those that a line is about.
func (l *line) families() []int {
	switch {
	case l.sets["4"]:
		return []int{4}
	case l.sets["6"]:
		return []int{6}
	}
	return []int{4, 6}
}

// network is what kind of socket the line wants.
func (l *line) network() string {
	switch {
	case l.sets["m"]:
		return netns.Datagrams
	case l.sets["u"]:
		return "udp"
	}
	return "tcp"
}

// target gives the addresses of STATION:PORT, svc/NAME:PORT or an address with a port. A station begins to serve there.
func (l *line) target(name string) (list []netip.AddrPort, err error) {
	if a, err := netip.ParseAddrPort(name); err == nil {
		return []netip.AddrPort{a}, nil
	}
	at := strings.LastIndexByte(name, ':')
	if at < 0 {
		return nil, fmt.Errorf("%q has no port", name)
	}
	port, err := strconv.ParseUint(name[at+1:], 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := l.addresses(name[:at])
	if err != nil {
		return nil, err
	}
	if p, err := l.station(name[:at]); err == nil {
		if err := p.Serve(uint16(port)); err != nil {
			return nil, err
		}
	}
	for _, a := range addrs {
		list = append(list, netip.AddrPortFrom(a, uint16(port)))
	}
	return list, nil
}

// addresses of a station or service, of the families that the line is about.
func (l *line) addresses(name string) (list []netip.Addr, err error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	var all []netip.Addr
	if service, ok := strings.CutPrefix(name, "svc/"); ok {
		if all, err = l.ClusterIPs("default", service); err != nil {
			return nil, err
		}
	} else {
		p, err := l.station(name)
		if err != nil {
			return nil, err
		}
		all = p.Addresses
	}
	for _, family := range l.families() {
		for _, a := range all {
			if a.Is4() == (family == 4) {
				list = append(list, a)
				break
			}
		}
	}
	if len(list) != len(l.families()) {
		return nil, fmt.Errorf("%s has %v", name, all)
	}
	return list, nil
}

// each does something for every target. A negated line wants silence of all of them, and nothing else.
func each[T any](l *line, targets []T, do func(T) error) error {
	var last error
	for _, t := range targets {
		err := do(t)
		switch {
		case l.neg && err == nil:
			return nil // the line fails
		case l.neg && !l.sets["e"] && !errors.Is(err, netns.ErrSilence):
			l.ts.Fatalf("%v: want silence, got: %v", t, err)
		case err != nil && !l.neg:
			return fmt.Errorf("%v: %w", t, err)
		}
		last = err
	}
	return last
}

func dial(l *line) error {
	from, err := l.station(l.arg(0))
	if err != nil {
		return err
	}
	targets, err := l.target(l.arg(1))
	if err != nil {
		l.ts.Fatalf("%v", err)
	}
	bulk, _ := strconv.ParseInt(l.opts["bulk"], 10, 64)
	size, _ := strconv.Atoi(l.opts["size"])
	return each(l, targets, func(to netip.AddrPort) error {
		ctx, cancel := l.patience()
		defer cancel()
		answer, peer, err := from.Call(ctx, l.network(), to, size, bulk)
		if err != nil {
			return err
		}
		if l.sets["p"] {
			answer += ", peer " + peer
		}
		return l.printf("%s\n", answer)
	})
}

// patience is a fresh one for each of several tries.
func (l *line) patience() (context.Context, context.CancelFunc) {
	if l.neg && !l.sets["e"] { // silence has no end; an error comes
		return context.WithTimeout(context.Background(), impatient)
	}
	return context.WithTimeout(context.Background(), patient)
}

func ping(l *line) error {
	from, err := l.station(l.arg(0))
	if err != nil {
		return err
	}
	targets, err := l.addresses(l.arg(1))
	if err != nil {
		l.ts.Fatalf("%v", err)
	}
	size, _ := strconv.Atoi(l.opts["size"])
	return each(l, targets, func(to netip.Addr) error {
		ctx, cancel := l.patience()
		defer cancel()
		return from.Ping(ctx, to, size)
	})
}

func open(l *line) error {
	from, err := l.station(l.arg(1))
	if err != nil {
		return err
	}
	if !l.sets["6"] {
		l.sets["4"] = true
	}
	targets, err := l.target(l.arg(2))
	if err != nil {
		return err
	}
	port, _ := strconv.Atoi(l.opts["port"])
	talk, err := from.Open(l.ctx, l.network(), port, targets[0])
	if err != nil {
		return err
	}
	l.talks[l.arg(0)] = talk
	return nil
}

func say(l *line) error {
	talk := l.talks[l.arg(0)]
	if talk == nil {
		l.ts.Fatalf("there is no open connection %q", l.arg(0))
	}
	return each(l, []string{l.arg(0)}, func(string) error {
		answer, err := talk.Say(l.ctx, "hello", 0)
		if err != nil {
			return err
		}
		return l.printf("%s\n", answer)
	})
}

func send(l *line) error {
	from, err := l.station(l.arg(0))
	if err != nil {
		return err
	}
	first, last := 0, 0
	if r := l.opts["ports"]; r != "" {
		if _, err := fmt.Sscanf(r, "%d-%d", &first, &last); err != nil {
			return fmt.Errorf("ports=%s: want FIRST-LAST: %w", r, err)
		}
	}
	return from.Flood(strings.Join(l.args[1:], " "), first, last)
}

func heard(l *line) error {
	p, err := l.station(l.arg(0))
	if err != nil {
		return err
	}
	for _, h := range p.Heard() {
		if err := l.printf("%s\n", h); err != nil {
			return err
		}
	}
	return nil
}

var verdicts = map[string]flowpb.Verdict{
	"drop": flowpb.Verdict_DROPPED, "forward": flowpb.Verdict_FORWARDED, "audit": flowpb.Verdict_AUDIT,
}

var flowTypes = map[string]int32{"verdict": flow.EventPolicyVerdict}

func flows(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	f := &flowpb.FlowFilter{}
	since := time.Unix(0, 0)
	for k, v := range l.opts {
		switch k {
		case "verdict":
			f.Verdict = []flowpb.Verdict{verdicts[v]}
		case "port":
			f.DestinationPort = []string{v}
		case "direction":
			f.TrafficDirection = []flowpb.TrafficDirection{flowpb.TrafficDirection(flowpb.TrafficDirection_value[strings.ToUpper(v)])}
		case "type":
			f.EventType = []*flowpb.EventTypeFilter{{Type: flowTypes[v]}}
		case "reason":
			number, ok := flowpb.DropReason_value[strings.ToUpper(v)]
			if own, err := strconv.Atoi(v); err == nil { // Hubble has no name for what only we have
				number, ok = int32(own), true
			}
			if !ok {
				return fmt.Errorf("there is no drop reason %s", v)
			}
			f.DropReasonDesc = []flowpb.DropReason{flowpb.DropReason(number)}
		case "from":
			f.SourcePod = []string{v}
		case "to":
			f.DestinationPod = []string{v}
		case "service":
			f.DestinationService = []string{v}
		case "answers":
			f.SourceService = []string{v}
		case "from-ip":
			f.SourceIp = []string{v}
		case "to-ip":
			f.DestinationIp = []string{v}
		case "protocol":
			f.Protocol = []string{v}
		case "cel":
			f.Experimental = &flowpb.FlowFilter_Experimental{CelExpression: []string{v}}
		case "last":
			age, err := time.ParseDuration(v)
			if err != nil {
				return err
			}
			since = time.Now().Add(-age)
		default:
			return errUsage
		}
	}
	text, err := n.Flow(l.ctx, f, since)
	if err != nil {
		return err
	}
	return l.printf("%s", text)
}

func agentDo(do func(*nettest.Node)) command {
	return func(l *line) error {
		n, err := l.node(l.arg(0))
		if err != nil {
			return err
		}
		do(n)
		return nil
	}
}

func start(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	if len(l.args) > 1 {
		if l.arg(1) != "other" {
			return fmt.Errorf("there is no version %q: an agent starts as it is, or as \"other\"", l.arg(1))
		}
		if n.Program, err = other(); err != nil {
			return err
		}
	} else {
		n.Program = ""
	}
	n.Configure(l.opts)
	return n.Start()
}

func reboot(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	return n.Reboot()
}

func recreate(l *line) error {
	p, err := l.pod(l.arg(0))
	if err != nil {
		return err
	}
	former, err := p.Recreate()
	if err != nil {
		return err
	}
	if _, err := p.Add(); err != nil {
		return err
	}
	setAddresses(l.ts.Setenv, p.Station, p.PodSpec.Name)
	return errors.Join(p.Runs(), former(), l.Settle(l.ctx))
}

func disk(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	switch l.arg(1) {
	case "tiny":
		return n.TinyDisk()
	case "full":
		return n.FillDisk(false)
	case "free":
		return n.FillDisk(true)
	}
	return errUsage
}

func kernel(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	text, err := n.Kernel(l.ctx)
	if err != nil {
		return err
	}
	return l.printf("%s", text)
}

func show(l *line) error {
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	t, err := n.Table(l.ctx, l.arg(1))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(l.ts.Stdout(), 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.Header}, t.Cells...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}
