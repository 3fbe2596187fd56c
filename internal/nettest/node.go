package nettest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/internal/nettest/wire"
)

// Node is a machine of the cluster: a namespace on the wire, and in it an agent, if that runs.
type Node struct {
	*netns.Station
	Index   int    // from 1
	Program string // of the next agent, one with this package's roles; empty: this process's own

	Groups       []string // cgroup.procs files of control groups that the agent's process enters first of all
	Capabilities []string // all that the agent's process has; empty: those of this one
	Profile      string   // folder into which the agent's process writes profiles of itself when it ends; empty: none

	cluster  *Cluster
	dir      string
	settings map[string]string
	boots    int // restarts of the machine

	api        io.Closer // the way to the API server; nil: there is none
	Kubeconfig string    // for programs on the node; empty: there is no API server

	mu      sync.Mutex
	agent   *running // nil: does not run
	pods    map[string]*Pod
	asked   uint64
	waiting map[uint64]chan process.Message
}

// running is one life of an agent.
type running struct {
	command *exec.Cmd
	in      chan process.Request // what it has not heard yet
	stdin   io.Closer
	over    chan struct{} // closes when it has ended
	err     error         // of its end
}

// errDown says that there is no agent to be asked.
var errDown = errors.New("the agent does not run")

func newNode(c *Cluster, name string, index int, settings map[string]string) (*Node, error) {
	dir, err := c.folder(name)
	if err != nil {
		return nil, err
	}
	ns, err := netns.NewNamespace(name, true)
	if err != nil {
		return nil, err
	}
	v4, v6 := wire.NodeAddresses(index)
	n := &Node{
		Station: netns.New(name, ns, v4, v6), Index: index, cluster: c, dir: dir, settings: process.WithGiven(settings),
		pods: map[string]*Pod{}, waiting: map[uint64]chan process.Message{},
	}
	err = errors.Join(os.MkdirAll(n.Run(), 0o755), c.wire.Connect(index, ns))
	if err == nil && c.API != nil {
		err = n.serveAPI(c.API)
	}
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *Node) close() {
	if n.Profile != "" {
		n.Stop() // it writes its profiles
	}
	n.Kill()
	if n.api != nil {
		n.api.Close()
	}
	for _, p := range n.Pods() {
		p.Close()
	}
	n.Station.Close()
}

// Pods lists the pods of the node by name.
func (n *Node) Pods() []*Pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []*Pod
	for _, p := range n.pods {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *Pod) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Pod is a pod of the node by name; nil if there is none.
func (n *Node) Pod(name string) *Pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pods[name]
}

// concerns tells whether the node hears of an object: of pods only its own.
func (n *Node) concerns(o runtime.Object) bool {
	p, ok := o.(*corev1.Pod)
	return !ok || p.Spec.NodeName == n.Name
}

func (n *Node) role() process.Role {
	return process.Role{
		Node: n.Name, Socket: n.socket(), StateDir: n.stateDir(), Hubble: n.Hubble(), Settings: n.settings,
		Groups: n.Groups, Profile: n.Profile, Plugins: n.Plugins(), Conf: n.Conf(), Run: n.Run(), Capabilities: n.Capabilities,
		Debug: os.Getenv("WEFT_NETTEST_DEBUG") != "", Kubeconfig: n.Kubeconfig, BooksOnly: n.cluster.BooksOnly,
	}
}

func (n *Node) socket() string   { return n.dir + "/weft.sock" }
func (n *Node) stateDir() string { return n.dir + "/state" }
func (n *Node) Hubble() string   { return n.dir + "/hubble.sock" }

// self is a process of this binary in a role.
func self(r process.Role) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	c := exec.Command(path)
	c.Env = append(os.Environ(), process.Environment+"="+string(text))
	return c, nil
}

// Start starts the agent and returns when it takes pods.
func (n *Node) Start() error {
	if err := n.Rouse(); err != nil {
		return err
	}
	if err := n.cluster.Settle(context.Background()); err != nil {
		return fmt.Errorf("start agent of node %s: %w", n.Name, err)
	}
	if !n.running() {
		return fmt.Errorf("start agent of node %s: it has ended:\n%s", n.Name, n.Log())
	}
	return nil
}

// Rouse starts the agent and does not wait.
func (n *Node) Rouse() error { return n.launch(n.role()) }

// launch starts an agent's process.
func (n *Node) launch(role process.Role) error {
	c, err := self(role)
	if err != nil {
		return err
	}
	if n.Program != "" {
		c.Path = n.Program
	}
	log, err := os.OpenFile(n.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c.Stderr = log
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := n.Namespace.Start(c); err != nil {
		return fmt.Errorf("start agent of node %s: %w", n.Name, err)
	}
	r := &running{command: c, in: make(chan process.Request, 1024), stdin: in, over: make(chan struct{})}
	n.cluster.mu.Lock()
	n.mu.Lock()
	n.agent = r
	r.in <- n.cluster.everything(n)
	n.mu.Unlock()
	n.cluster.mu.Unlock()
	go r.speak(in)
	go n.listen(r, out)
	return nil
}

// speak passes on what the agent shall hear until it has ended.
func (r *running) speak(in io.Writer) {
	out := json.NewEncoder(in)
	for {
		select {
		case <-r.over:
			return
		case m := <-r.in:
			_ = out.Encode(m) // if it has ended, listen says so
		}
	}
}

// listen takes what the agent says until it has ended.
func (n *Node) listen(r *running, out io.Reader) {
	in := json.NewDecoder(bufio.NewReader(out))
	for {
		var m process.Message
		if err := in.Decode(&m); err != nil {
			break
		}
		if m.Published != nil {
			if err := n.cluster.publish(n.Name, *m.Published); err != nil {
				panic(err) // it is an object of ours
			}
			continue
		}
		n.mu.Lock()
		answer := n.waiting[m.ID]
		delete(n.waiting, m.ID)
		n.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
	r.err = r.command.Wait()
	n.mu.Lock()
	if n.agent == r {
		n.agent = nil
	}
	n.mu.Unlock()
	close(r.over)
}

func (n *Node) life() *running {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.agent
}

func (n *Node) running() bool { return n.life() != nil }

// Process is the number of the agent's process; 0: it does not run.
func (n *Node) Process() int {
	if r := n.life(); r != nil {
		return r.command.Process.Pid
	}
	return 0
}

// tell says something to the agent, if it runs.
func (n *Node) tell(m process.Request) {
	if r := n.life(); r != nil {
		select {
		case r.in <- m:
		case <-r.over:
		}
	}
}

// ask says something to the agent and waits for the answer.
func (n *Node) ask(ctx context.Context, q process.Request) (process.Message, error) {
	r := n.life()
	if r == nil {
		return process.Message{}, errDown
	}
	answer := make(chan process.Message, 1)
	n.mu.Lock()
	n.asked++
	q.ID = n.asked
	n.waiting[q.ID] = answer
	n.mu.Unlock()
	n.tell(q)
	select {
	case m := <-answer:
		if m.Err != "" {
			return m, fmt.Errorf("node %s: %s", n.Name, m.Err)
		}
		return m, nil
	case <-r.over:
		return process.Message{}, fmt.Errorf("agent of node %s has ended: %w\n%s", n.Name, errors.Join(errDown, r.err), n.Log())
	case <-ctx.Done():
		return process.Message{}, ctx.Err()
	}
}

// Stop ends the agent as Kubernetes does when its pod is replaced.
func (n *Node) Stop() { n.end((*running).shut) }

// Kill ends the agent as a crash does.
func (n *Node) Kill() { n.end((*running).kill) }

func (r *running) shut() { r.stdin.Close() }
func (r *running) kill() { _ = r.command.Process.Kill() } // it has ended already

func (n *Node) end(how func(*running)) {
	if r := n.life(); r != nil {
		how(r)
		<-r.over
	}
}

func (n *Node) logFile() string { return n.dir + "/agent.log" }

// Log is what the agent has logged in all its lives.
func (n *Node) Log() string {
	text, _ := os.ReadFile(n.logFile()) // not started yet
	return string(text)
}

// Table is a table of the agent.
func (n *Node) Table(ctx context.Context, name string) (t agentv1.Table, err error) {
	return t, n.get(ctx, agentv1.PathTables+"/"+name, &t)
}

// Status is what `weft status` would show.
func (n *Node) Status(ctx context.Context) (s agentv1.NodeStatus, err error) {
	return s, n.get(ctx, agentv1.PathNodeStatus, &s)
}

func (n *Node) get(ctx context.Context, path string, into any) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", n.socket())
		},
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s: %s", path, bytes.TrimSpace(text))
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// Kernel lists what the node's kernel holds of Weftnet: devices, routes, attached programs, map entries; one a line,
// sorted, without numbers that are never the same twice. Connections are left out: they end by their own clocks.
func (n *Node) Kernel(ctx context.Context) (string, error) {
	m, err := n.ask(ctx, process.Request{Ask: "kernel"})
	return m.Text, err
}

// Programs tells how often each attached program ran and how long that took, while the kernel counts it.
func (n *Node) Programs(ctx context.Context) ([]process.Program, error) {
	m, err := n.ask(ctx, process.Request{Ask: "programs"})
	return m.Programs, err
}

// plugin is a CNI call as a container runtime makes it: of a program, or of the plugin in this binary if that is empty.
func (n *Node) plugin(program, command, container, netns, args string) (c *exec.Cmd, err error) {
	if program != "" {
		c = exec.Command(program)
		c.Env = os.Environ()
	} else {
		r := n.role()
		r.Plugin = true
		if c, err = self(r); err != nil {
			return nil, err
		}
	}
	c.Env = append(c.Env, "CNI_COMMAND="+command, "CNI_CONTAINERID="+container, "CNI_NETNS="+netns, "CNI_IFNAME=eth0", "CNI_ARGS="+args, "CNI_PATH=/")
	c.Stdin = strings.NewReader(fmt.Sprintf(`{"cniVersion":"1.0.0","name":"weft","type":"weft-cni","socket":%q}`, n.socket()))
	return c, nil
}
