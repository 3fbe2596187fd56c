package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Config says what to read from where.
type Config struct {
	API   *rest.Config
	Node  string            // name of this node, as in its Node object
	Flags map[string]string // settings that win over those of the ConfigMap
	Log   *slog.Logger      // what cannot be read; nil is nowhere
}

// Source follows the API server and writes what it says into the input tables.
type Source struct {
	config   Config
	db       *state.DB
	tables   *table.Tables
	rows     *kind.Rows
	clients  map[schema.GroupVersion]*rest.RESTClient
	metadata metadata.Interface
	health   *health
	ops      chan func(*state.Tx) // what has happened, in order
	poll     time.Duration        // between looks for a missing CRD
}

// New makes a source. It does not speak to the API server yet; its error is a configuration that cannot work.
func New(c Config, db *state.DB, t *table.Tables) (*Source, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Source{
		config: c, db: db, tables: t, rows: kind.NewRows(t, c.Node, c.Flags), clients: map[schema.GroupVersion]*rest.RESTClient{},
		health: &health{log: c.Log, failing: map[string]string{}},
		ops:    make(chan func(*state.Tx), 1024), poll: 5 * time.Second,
	}
	codecs := serializer.NewCodecFactory(kind.Scheme())
	for _, g := range kind.Groups(kind.Agent) {
		api, gv := rest.CopyConfig(c.API), g.GroupVersion
		api.GroupVersion, api.NegotiatedSerializer, api.APIPath = &gv, codecs.WithoutConversion(), "/apis"
		if gv.Group == "" {
			api.APIPath = "/api"
		}
		if !g.Custom { // custom resources have no protobuf form
			api.AcceptContentTypes, api.ContentType = runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON, runtime.ContentTypeProtobuf
		}
		client, err := rest.RESTClientFor(api)
		if err != nil {
			return nil, fmt.Errorf("connect to the API server %s for %s: %w", c.API.Host, gv, err)
		}
		s.clients[gv] = client
	}
	var err error
	if s.metadata, err = metadata.NewForConfig(c.API); err != nil {
		return nil, fmt.Errorf("connect to the API server %s: %w", c.API.Host, err)
	}
	return s, nil
}

// OwnNode takes the Node of this node as a whole: of Nodes this source reads metadata alone. Nil: there is none.
func (s *Source) OwnNode(ctx context.Context, node *corev1.Node) {
	select {
	case s.ops <- func(tx *state.Tx) { s.rows.OwnNode(tx, node) }:
	case <-ctx.Done():
	}
}

// resources are those of the kinds that an agent reads, as this node asks for them.
func (s *Source) resources() (out []resource) {
	for k := range kind.ReadBy(kind.Agent) {
		r := resource{Kind: k, metadata: k.Metadata&kind.Agent != 0, space: k.Only.Namespace}
		if k.Narrow != nil {
			r.list = k.Narrow(s.config.Node)
		}
		if k.Only.Name != "" {
			r.list.FieldSelector = "metadata.name=" + k.Only.Name
		}
		out = append(out, r)
	}
	return out
}

// resource is where the objects of one kind are, and what of them is read.
type resource struct {
	*kind.Kind
	list     metav1.ListOptions // selectors
	space    string             // namespace; empty is all
	metadata bool               // only metadata is read, as PartialObjectMetadata
}

// Run follows the API server until ctx ends, and returns its error. Whatever fails is logged and tried again.
func (s *Source) Run(ctx context.Context) error {
	var all sync.WaitGroup
	var later []resource
	for _, r := range s.resources() {
		if r.Custom {
			later = append(later, r)
		} else {
			all.Go(func() { s.follow(ctx, r) })
		}
	}
	all.Go(func() { s.whenPresent(ctx, later, func(r resource) { all.Go(func() { s.begin(ctx, r) }) }) })
	s.write(ctx)
	all.Wait()
	return ctx.Err()
}

// write applies what has happened, as much in one transaction as has piled up.
func (s *Source) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case op := <-s.ops:
			err := s.db.Write(func(tx *state.Tx) error {
				op(tx)
				for range len(s.ops) {
					(<-s.ops)(tx)
				}
				return nil
			})
			if err != nil {
				panic(err) // the function above has no error
			}
		}
	}
}
