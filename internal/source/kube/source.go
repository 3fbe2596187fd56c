package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	v2 "weftnet.io/weftnet/api/cilium/v2"
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
	rows     *Rows
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
		config: c, db: db, rows: NewRows(t, c.Node, c.Flags), clients: map[schema.GroupVersion]*rest.RESTClient{},
		health: &health{log: c.Log, failing: map[string]string{}},
		ops:    make(chan func(*state.Tx), 1024), poll: 5 * time.Second,
	}
	codecs := serializer.NewCodecFactory(Scheme())
	for _, gv := range []schema.GroupVersion{
		corev1.SchemeGroupVersion, discoveryv1.SchemeGroupVersion, networkingv1.SchemeGroupVersion, v2.SchemeGroupVersion, tiered,
	} {
		api := rest.CopyConfig(c.API)
		api.GroupVersion, api.NegotiatedSerializer, api.APIPath = &gv, codecs.WithoutConversion(), "/apis"
		if gv.Group == "" {
			api.APIPath = "/api"
		}
		if !custom(gv) { // custom resources have no protobuf form
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

// Scheme knows the kinds that this package reads. Scripts decode with it what they hand to Rows. It is one for all: nobody
// adds to it.
func Scheme() *runtime.Scheme { return scheme() }

var scheme = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, discoveryv1.AddToScheme, networkingv1.AddToScheme, v2.AddToScheme, v1alpha2.Install,
	} {
		if err := add(scheme); err != nil {
			panic(err) // two types claim one name: a mistake in this program
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return scheme
})

// tiered is where ClusterNetworkPolicy is.
var tiered = schema.GroupVersion(v1alpha2.GroupVersion)

// custom tells whether kinds of a group exist only once somebody has installed their CRDs.
func custom(gv schema.GroupVersion) bool { return gv == v2.SchemeGroupVersion || gv == tiered }

// resource is where the objects of one kind are.
type resource struct {
	kind     string
	gv       schema.GroupVersion
	name     string // plural
	example  runtime.Object
	list     metav1.ListOptions // selectors
	space    string             // namespace; empty is all
	metadata bool               // only metadata is read, as PartialObjectMetadata
	newer    bool               // earlier versions of the chart do not have its CRD: as long as that is missing there are none
}

func (s *Source) resources() []resource {
	core, cilium := corev1.SchemeGroupVersion, v2.SchemeGroupVersion
	// Services with this label are for another proxy than the default one, and slices with that one for none at all.
	const foreign, headless = "!service.kubernetes.io/service-proxy-name", "!" + corev1.IsHeadlessService
	labels := func(selector string) metav1.ListOptions { return metav1.ListOptions{LabelSelector: selector} }
	fields := func(selector string) metav1.ListOptions { return metav1.ListOptions{FieldSelector: selector} }
	return []resource{
		{kind: configMap, gv: core, name: "configmaps", example: &corev1.ConfigMap{}, space: ConfigNamespace, list: fields("metadata.name=" + ConfigName)},
		{kind: ciliumNode, gv: cilium, name: v2.NodeResource, example: &v2.CiliumNode{}},
		{kind: node, gv: core, name: "nodes", metadata: true},
		{kind: namespace, gv: core, name: "namespaces", metadata: true},
		{kind: pod, gv: core, name: "pods", example: &corev1.Pod{}, list: fields("spec.nodeName=" + s.config.Node)},
		{kind: ciliumIdentity, gv: cilium, name: v2.IdentityResource, example: &v2.CiliumIdentity{}},
		{kind: ciliumEndpoint, gv: cilium, name: v2.EndpointResource, example: &v2.CiliumEndpoint{}},
		{kind: service, gv: core, name: "services", example: &corev1.Service{}, list: labels(foreign)},
		{kind: endpointSlice, gv: discoveryv1.SchemeGroupVersion, name: "endpointslices", example: &discoveryv1.EndpointSlice{}, list: labels(foreign + "," + headless)},
		{kind: cidrGroup, gv: cilium, name: v2.CIDRGroupResource, example: &v2.CiliumCIDRGroup{}, newer: true},
		{kind: policy, gv: cilium, name: v2.NetworkPolicyResource, example: &v2.CiliumNetworkPolicy{}},
		{kind: clusterPolicy, gv: cilium, name: v2.ClusterwideNetworkPolicyResource, example: &v2.CiliumClusterwideNetworkPolicy{}},
		{kind: kubernetesPolicy, gv: networkingv1.SchemeGroupVersion, name: "networkpolicies", example: &networkingv1.NetworkPolicy{}},
		{kind: tieredPolicy, gv: tiered, name: "clusternetworkpolicies", example: &v1alpha2.ClusterNetworkPolicy{}, newer: true},
	}
}

// Run follows the API server until ctx ends, and returns its error. Whatever fails is logged and tried again.
func (s *Source) Run(ctx context.Context) error {
	var all sync.WaitGroup
	var later []resource
	for _, r := range s.resources() {
		if custom(r.gv) {
			later = append(later, r)
		} else {
			all.Go(func() { s.follow(ctx, r) })
		}
	}
	all.Go(func() { s.whenPresent(ctx, later, func(r resource) { all.Go(func() { s.follow(ctx, r) }) }) })
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
