package control

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// api is an API server, as far as an agent sees it.
type api struct {
	mu        sync.Mutex
	away      bool
	life      *life // who listens
	objects   map[string]runtime.Object
	published map[state.Key]table.PublishedEndpoint
}

func newAPI() *api {
	return &api{objects: map[string]runtime.Object{}, published: map[state.Key]table.PublishedEndpoint{}}
}

// serve lets an agent know all that there is, unless the server is away.
func (a *api) serve(l *life) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.life = l
	return a.list()
}

func (a *api) list() error {
	if a.away || a.life == nil {
		return nil
	}
	return a.life.db.Write(func(tx *state.Tx) error {
		for _, o := range a.objects {
			if err := a.life.rows.Put(tx, o); err != nil {
				return err
			}
		}
		a.life.rows.MarkSynced(tx)
		return nil
	})
}

// leave is the end of the agent.
func (a *api) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.life = nil
}

// be lets the server go away, or come back.
func (a *api) be(away bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = away
	if err := a.list(); err != nil {
		panic(err) // every object was accepted before
	}
}

// each reads the objects of a YAML file.
func (a *api) each(text []byte, do func(runtime.Object) error) error {
	decoder := serializer.NewCodecFactory(kind.Scheme()).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		o, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return err
		}
		if err := do(o); err != nil {
			return err
		}
	}
}

func name(o runtime.Object) string {
	a, err := meta.Accessor(o)
	if err != nil {
		panic(err) // no object of the scheme
	}
	switch o.(type) {
	case *v2.CiliumNode, *v2.CiliumIdentity, *v2.CiliumClusterwideNetworkPolicy, *corev1.Namespace, *corev1.Node:
	default:
		if a.GetNamespace() == "" {
			a.SetNamespace(corev1.NamespaceDefault)
		}
	}
	return fmt.Sprintf("%T %s/%s", o, a.GetNamespace(), a.GetName())
}

func (a *api) put(o runtime.Object) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.putLocked(o)
}

func (a *api) putLocked(o runtime.Object) error {
	a.objects[name(o)] = o
	if a.away || a.life == nil {
		return nil
	}
	return a.life.db.Write(func(tx *state.Tx) error { return a.life.rows.Put(tx, o) })
}

func (a *api) remove(o runtime.Object) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, ok := a.objects[name(o)]
	if !ok {
		return fmt.Errorf("there is no %s", name(o))
	}
	delete(a.objects, name(o))
	if a.away || a.life == nil {
		return nil
	}
	return a.life.db.Write(func(tx *state.Tx) error { return a.life.rows.Delete(tx, old) })
}

var errAway = errors.New("the API server is not reached (this is a test)")

// number makes an identity for labels, as agents do that race.
func (a *api) number(labels identity.Labels) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away {
		return errAway
	}
	for n := identity.Candidate(labels, 0); ; n = identity.Next(n, 0) {
		o := &v2.CiliumIdentity{SecurityLabels: labels.Map()}
		o.Name = fmt.Sprint(n)
		old, taken := a.objects[name(o)]
		if !taken {
			return a.putLocked(o)
		}
		if identity.NewLabels(old.(*v2.CiliumIdentity).SecurityLabels) == labels {
			return nil
		}
	}
}

// endpoints is what this node has published, kept by the server.
func (a *api) endpoints(l *life) *store[table.PublishedEndpoint] {
	return &store[table.PublishedEndpoint]{key: l.Published.Key, rows: a.published}
}

func (a *api) publish(*life, table.PublishedEndpoint) error   { return a.reached() }
func (a *api) unpublish(*life, table.PublishedEndpoint) error { return a.reached() }

func (a *api) reached() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away {
		return errAway
	}
	return nil
}
