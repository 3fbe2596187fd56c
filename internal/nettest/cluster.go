package nettest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/internal/nettest/wire"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Cluster is nodes on a wire, and the objects that they know.
type Cluster struct {
	Outside *netns.Station // a machine that is no node

	// API is the API server of nodes that are added from now on; nil: Cluster plays one. Objects are then whose who has the
	// server; those of Cluster go nowhere.
	API       http.Handler
	BooksOnly bool // API has the addresses of further networks alone: Cluster plays the rest

	dir  string
	wire *wire.Wire

	mu        sync.Mutex
	nodes     map[string]*Node
	objects   map[key]object
	published map[string]process.Published // by node
	heard     uint64                       // publications
	uid       uint64
	check     checker
}

// key names an object.
type key struct{ kind, namespace, name string }

// object is one that exists.
type object struct {
	runtime.Object
	text json.RawMessage
}

// checker tells objects that an agent reads from others.
type checker struct {
	rows *kind.Rows
	db   *state.DB
}

// New makes a cluster without nodes. Sockets, journals and logs go into dir, whose path must be short.
func New(dir string) (*Cluster, error) {
	w, err := wire.New()
	if err != nil {
		return nil, err
	}
	tables, db := table.New()
	return &Cluster{
		Outside: w.Outside, dir: dir, wire: w,
		nodes: map[string]*Node{}, objects: map[key]object{}, published: map[string]process.Published{},
		check: checker{kind.NewRows(tables, "", nil), db},
	}, nil
}

// Close stops everything.
func (c *Cluster) Close() {
	for _, n := range c.Nodes() {
		n.close()
	}
	c.wire.Close()
}

// Nodes lists the nodes by name.
func (c *Cluster) Nodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.nodes), func(a, b *Node) int { return a.Index - b.Index })
}

// Node is a node by name; nil if there is none.
func (c *Cluster) Node(name string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[name]
}

// AddNode makes a node and starts its agent. Settings are keys of the configuration.
func (c *Cluster) AddNode(name string, settings map[string]string) (*Node, error) {
	n, err := c.PrepareNode(name, settings)
	if err != nil {
		return n, err
	}
	return n, n.Start()
}

// PrepareNode makes a node whose agent does not run yet.
func (c *Cluster) PrepareNode(name string, settings map[string]string) (*Node, error) {
	c.mu.Lock()
	index := len(c.nodes) + 1
	c.mu.Unlock()
	n, err := newNode(c, name, index, settings)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.nodes[name] = n
	err = c.put(nodeObject(n))
	c.mu.Unlock()
	return n, err
}

// Put puts objects in place as they are and tells the nodes: no controller acts upon them, and waits for none. Settle
// returns when they are in force.
func (c *Cluster) Put(list ...runtime.Object) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range list {
		if err := c.put(o); err != nil {
			return err
		}
	}
	return nil
}

// Wire is what the nodes are on.
func (c *Cluster) Wire() *wire.Wire { return c.wire }

// Apply puts the objects of a YAML file in place and waits until they are in force.
func (c *Cluster) Apply(ctx context.Context, text []byte) error {
	return c.each(ctx, text, func(o runtime.Object) error { return c.put(o) })
}

// Delete removes the objects that a YAML file names, and waits until nothing is left of them.
func (c *Cluster) Delete(ctx context.Context, text []byte) error {
	return c.each(ctx, text, func(o runtime.Object) error {
		if k := keyOf(o); !c.remove(k) {
			return fmt.Errorf("delete %s %s/%s: there is none", k.kind, k.namespace, k.name)
		}
		return nil
	})
}

func (c *Cluster) each(ctx context.Context, text []byte, do func(runtime.Object) error) error {
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		text, err := yaml.ToJSON(document)
		if err != nil {
			return err
		}
		o, err := process.Decode([]json.RawMessage{text})
		if err != nil {
			return err
		}
		if err := inNamespace(o[0]); err != nil {
			return err
		}
		if err := c.change(func() error { return do(o[0]) }); err != nil {
			return err
		}
	}
	return c.Settle(ctx)
}

// change runs a change of objects, and then the controllers.
func (c *Cluster) change(do func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(do(), c.controlSlices())
}

// Settle returns when all that follows from the objects is in the kernels of all nodes whose agents run.
func (c *Cluster) Settle(ctx context.Context) error {
	for {
		before := c.publications()
		for _, n := range c.Nodes() {
			if _, err := n.ask(ctx, process.Request{Ask: "settle"}); err != nil && n.running() {
				return err
			}
		}
		if c.publications() == before {
			return nil
		}
	}
}

func (c *Cluster) publications() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard
}

// put makes or replaces an object, and tells the nodes. The caller has the lock, as for all that follows.
func (c *Cluster) put(o runtime.Object) error {
	a, err := meta.Accessor(o)
	if err != nil {
		return err
	}
	k := keyOf(o)
	if a.GetUID() == "" {
		c.uid++
		a.SetUID(uid(c.uid))
		if old, ok := c.objects[k]; ok {
			b, _ := meta.Accessor(old.Object)
			a.SetUID(b.GetUID())
		}
	}
	gvks, _, err := kind.Scheme().ObjectKinds(o)
	if err != nil {
		return err
	}
	o.GetObjectKind().SetGroupVersionKind(gvks[0])
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := c.check.db.Write(func(tx *state.Tx) error { return c.check.rows.Put(tx, o) }); err != nil {
		return err
	}
	if old, ok := c.objects[k]; ok && bytes.Equal(old.text, text) {
		return nil
	}
	c.objects[k] = object{o, text}
	for _, n := range c.nodes {
		if n.concerns(o) {
			n.tell(process.Request{Put: []json.RawMessage{text}})
		}
	}
	return nil
}

func (c *Cluster) remove(k key) bool {
	o, ok := c.objects[k]
	if !ok {
		return false
	}
	delete(c.objects, k)
	for _, n := range c.nodes {
		if n.concerns(o.Object) {
			n.tell(process.Request{Delete: []json.RawMessage{o.text}})
		}
	}
	return true
}

// everything is what a node that starts is told first.
func (c *Cluster) everything(n *Node) process.Request {
	r := process.Request{Synced: true}
	for _, o := range c.objects {
		if n.concerns(o.Object) {
			r.Put = append(r.Put, o.text)
		}
	}
	return r
}

// publish takes what a node has published: label sets get numbers, endpoints go to all nodes.
func (c *Cluster) publish(node string, p process.Publication) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard++
	for _, text := range p.Claims {
		labels, err := identity.ParseLabels(text)
		if err != nil {
			return err
		}
		if err := c.number(labels); err != nil {
			return err
		}
	}
	for _, o := range p.Objects() {
		if err := c.put(o); err != nil {
			return err
		}
	}
	var gone []runtime.Object
	c.published[node], gone = c.published[node].With(p)
	for _, o := range gone {
		c.remove(keyOf(o))
	}
	return nil
}

// number gives a label set the first free number of its probing order, as racing agents would.
func (c *Cluster) number(labels identity.Labels) error {
	for n := identity.Candidate(labels, 0); ; n = identity.Next(n, 0) {
		o := &v2.CiliumIdentity{SecurityLabels: labels.Map()}
		o.Name = fmt.Sprint(n)
		old, taken := c.objects[keyOf(o)]
		if !taken {
			return c.put(o)
		}
		if identity.NewLabels(old.Object.(*v2.CiliumIdentity).SecurityLabels) == labels {
			return nil
		}
	}
}

// ensureNamespace makes a namespace, as there must be one before a pod.
func (c *Cluster) ensureNamespace(name string) error {
	if _, ok := c.objects[key{"*v1.Namespace", "", name}]; ok {
		return nil
	}
	o := &corev1.Namespace{}
	o.Name, o.Labels = name, map[string]string{corev1.LabelMetadataName: name}
	return c.put(o)
}

func (c *Cluster) folder(name string) (string, error) {
	dir := c.dir + "/" + name
	return dir, os.MkdirAll(dir, 0o700)
}

func keyOf(o runtime.Object) key {
	a, err := meta.Accessor(o)
	if err != nil {
		panic(err) // not an object of the scheme
	}
	return key{fmt.Sprintf("%T", o), a.GetNamespace(), a.GetName()}
}

// ClusterIPs are the addresses of a service.
func (c *Cluster) ClusterIPs(namespace, name string) (list []netip.Addr, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &corev1.Service{}
	s.Namespace, s.Name = namespace, name
	o, ok := c.objects[keyOf(s)]
	if !ok {
		return nil, fmt.Errorf("there is no service %s/%s", namespace, name)
	}
	spec := o.Object.(*corev1.Service).Spec
	if len(spec.ClusterIPs) == 0 {
		spec.ClusterIPs = []string{spec.ClusterIP} // the API server would
	}
	for _, text := range spec.ClusterIPs {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("service %s/%s: clusterIPs: %w", namespace, name, err)
		}
		list = append(list, a)
	}
	return list, nil
}
