package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/operator/claim"
	"weftnet.io/weftnet/internal/operator/condition"
	"weftnet.io/weftnet/internal/operator/hubble"
	"weftnet.io/weftnet/internal/operator/pace"
	"weftnet.io/weftnet/internal/settings"
)

const (
	lease = "cilium-operator-resource-lock"
	renew = 10 * time.Second // within which the holder must renew it: the manager's default
)

// Config says how to run.
type Config struct {
	API            *rest.Config
	Name           string // of this replica, as holder of the Lease; empty: one is made up
	Namespace      string // of the Lease
	HealthAddress  string // of GET /healthz; empty: none
	MetricsAddress string // of GET /metrics; empty: none
	WebhookAddress string // of the webhook; empty: none
	Certificates   bool   // those of Hubble are made and renewed
	Log            *slog.Logger
}

// Run works until ctx ends, which is no error, or until something makes it impossible, such as the loss of the Lease.
func Run(ctx context.Context, c Config) error {
	c.API = pace.Of(c.API)
	logger := logr.FromSlogHandler(quiet{c.Log.Handler()})
	log.SetLogger(logger)
	klog.SetLogger(logger)
	stop, err := serveHealth(c)
	if err != nil {
		return err
	}
	defer stop()
	kinds, err := newKinds(c.API, c.Log)
	if err != nil {
		return err
	}
	if err := kinds.await(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	lock, err := newLock(c)
	if err != nil {
		return err
	}
	m, err := newManager(c, lock, logger)
	if err != nil {
		return fmt.Errorf("connect to the API server %s: %w", c.API.Host, err)
	}
	missing, err := kinds.lacking(ctx, v2.SchemeGroupVersion, []string{v2.CIDRGroupResource})
	if err != nil {
		return err
	}
	f := condition.Facts{Client: m.GetClient(), Live: m.GetAPIReader(), Groups: len(missing) == 0}
	statuses := func(m manager.Manager, _ *slog.Logger) error { return addAllConditions(m, f) }
	for name, add := range map[string]func(manager.Manager, *slog.Logger) error{
		"nodes": addNodes, "identities": addIdentities, "endpoints": addEndpoints, "addresses": addAddresses, "statuses": statuses,
	} {
		if err := add(m, c.Log); err != nil {
			return fmt.Errorf("prepare the control of %s: %w", name, err)
		}
	}
	if err := kinds.follow(m, f); err != nil {
		return err
	}
	if err := kinds.addNetworks(m, c.Log); err != nil {
		return fmt.Errorf("prepare the control of networks: %w", err)
	}
	if c.WebhookAddress != "" {
		if err := addWebhook(m, c, f); err != nil {
			return fmt.Errorf("prepare the webhook: %w", err)
		}
	}
	if c.Certificates {
		name := func(ctx context.Context) (string, error) {
			c, err := configuration(ctx, m.GetClient())
			return c.ClusterName, err
		}
		if err := m.Add(&hubble.Keeper{Reader: m.GetAPIReader(), Writer: m.GetClient(), Namespace: c.Namespace, Cluster: name, Log: c.Log}); err != nil {
			return fmt.Errorf("prepare the certificates of Hubble: %w", err)
		}
	}
	go func() {
		select {
		case <-m.Elected():
			c.Log.Info("holding the Lease: this replica acts", "lease", c.Namespace+"/"+lease)
		case <-ctx.Done():
		}
	}()
	return ignoreEnd(ctx, m.Start(ctx))
}

// configuration reads the cluster's; where there is none, the defaults count.
func configuration(ctx context.Context, r client.Reader) (settings.Config, error) {
	var m corev1.ConfigMap
	if err := r.Get(ctx, types.NamespacedName{Namespace: kind.ConfigNamespace, Name: kind.ConfigName}, &m); client.IgnoreNotFound(err) != nil {
		return settings.Config{}, fmt.Errorf("read ConfigMap %s/%s: %w", kind.ConfigNamespace, kind.ConfigName, err)
	}
	config, _ := settings.Parse(func(key string) (string, bool) { v, ok := m.Data[key]; return v, ok })
	return config, nil
}

// quiet takes the libraries' word on their own progress for details, to be seen with --debug only.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	if level < slog.LevelWarn {
		level = slog.LevelDebug
	}
	return q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(name string) slog.Handler   { return quiet{q.Handler.WithGroup(name)} }

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// newScheme knows the kinds that the operator works with.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(kind.Install(scheme))
	utilruntime.Must(admissionregistrationv1.AddToScheme(scheme))
	utilruntime.Must(attachment.InstallClaim(scheme))
	return scheme
}

// newLock makes the Lease that decides which replica acts.
func newLock(c Config) (resourcelock.Interface, error) {
	name := c.Name
	if name == "" {
		host, _ := os.Hostname()
		name = fmt.Sprintf("%s-%08x", host, rand.Uint32())
	}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, c.Namespace, lease,
		resourcelock.ResourceLockConfig{Identity: name}, c.API, renew)
	if err != nil {
		return nil, fmt.Errorf("prepare Lease %s/%s: %w", c.Namespace, lease, err)
	}
	return lock, nil
}

// newManager makes the manager, whose cache keeps of each object what is used.
func newManager(c Config, lock resourcelock.Interface, logger logr.Logger) (manager.Manager, error) {
	metrics := c.MetricsAddress
	if metrics == "" {
		metrics = "0" // none
	}
	return manager.New(c.API, manager.Options{
		Scheme: newScheme(), Logger: logger,
		LeaderElection: true, LeaderElectionResourceLockInterface: lock, LeaderElectionReleaseOnCancel: true,
		Metrics: server.Options{BindAddress: metrics}, HealthProbeBindAddress: "0",
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				&corev1.ConfigMap{}: {
					Namespaces: map[string]cache.Config{kind.ConfigNamespace: {}}, Field: fields.OneTermEqualSelector("metadata.name", kind.ConfigName),
				},
				&corev1.Node{}:              {Transform: keepIdentity},
				&corev1.Namespace{}:         {Transform: keepMode},
				podMetadata():               {Transform: claim.Keep(keepIdentity)},
				condition.ServiceMetadata(): {Transform: keepIdentity},
				&v2.CiliumEndpoint{}:        {Transform: keepEndpoint},
			},
		},
	})
}

// keepIdentity leaves of an object its name, uid and version.
func keepIdentity(object any) (any, error) {
	o, ok := object.(metav1.Object)
	if !ok {
		return object, nil
	}
	meta := metav1.ObjectMeta{Name: o.GetName(), Namespace: o.GetNamespace(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion()}
	switch o := object.(type) {
	case *corev1.Node:
		return &corev1.Node{ObjectMeta: meta}, nil
	case *metav1.PartialObjectMetadata:
		return &metav1.PartialObjectMetadata{TypeMeta: o.TypeMeta, ObjectMeta: meta}, nil
	}
	return object, nil
}

// keepMode leaves of a namespace its labels and how policies of its pods are enforced.
func keepMode(object any) (any, error) {
	o, ok := object.(*corev1.Namespace)
	if !ok {
		return object, nil
	}
	kept := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion, Labels: o.Labels, Annotations: o.Annotations,
	}}
	language.KeepMode(kept)
	return kept, nil
}

// keepEndpoint leaves of an endpoint its identity and owner too.
func keepEndpoint(object any) (any, error) {
	o, ok := object.(*v2.CiliumEndpoint)
	if !ok {
		return object, nil
	}
	kept := &v2.CiliumEndpoint{ObjectMeta: metav1.ObjectMeta{
		Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion, OwnerReferences: o.OwnerReferences,
		CreationTimestamp: o.CreationTimestamp,
	}}
	if o.Status.Identity != nil {
		kept.Status.Identity = &v2.EndpointIdentity{ID: o.Status.Identity.ID}
	}
	return kept, nil
}

// serveHealth answers GET /healthz for as long as the program can run at all.
func serveHealth(c Config) (stop func(), err error) {
	if c.HealthAddress == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", c.HealthAddress)
	if err != nil {
		return nil, fmt.Errorf("serve /healthz: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			c.Log.Error("/healthz is not served any more", "error", err)
		}
	}()
	return func() { _ = s.Close() }, nil
}
