package kube

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/state"
)

// follow keeps the rows of one resource up to date until ctx ends.
func (s *Source) follow(ctx context.Context, r resource) {
	s.reflect(ctx, r, &store{s, ctx, s.rows.Of(r.Kind)})
}

// reflect keeps a store up to date with what there is of one resource.
func (s *Source) reflect(ctx context.Context, r resource, into cache.ReflectorStore) {
	var example any = r.New()
	if r.metadata {
		example = &metav1.PartialObjectMetadata{}
	}
	backoff := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 7, Cap: 30 * time.Second}
	clock := stoppable{ctx: ctx}
	reflector := cache.NewReflectorWithOptions(s.listWatch(r), example, into,
		cache.ReflectorOptions{Name: r.Resource, TypeDescription: r.Name, Clock: clock, Backoff: &backoff})
	again := backoff.DelayWithReset(clock, 2*time.Minute)
	_ = again.Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		round, end := context.WithCancel(ctx)
		defer end()                                  // stops watches that the reflector forgot
		_ = reflector.ListAndWatchWithContext(round) // listWatch has logged it
		return false, nil
	})
}

// listWatch asks for a resource, and logs what goes wrong: the reflector keeps some errors to itself.
func (s *Source) listWatch(r resource) *cache.ListWatch {
	list := func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return s.clients[r.GroupVersion].Get().Namespace(r.space).Resource(r.Resource).VersionedParams(&o, metav1.ParameterCodec).Do(ctx).Get()
	}
	follow := func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		o.Watch = true
		return s.clients[r.GroupVersion].Get().Namespace(r.space).Resource(r.Resource).VersionedParams(&o, metav1.ParameterCodec).Watch(ctx)
	}
	if r.metadata {
		api := s.metadata.Resource(r.WithResource(r.Resource))
		list = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return api.List(ctx, o) }
		follow = api.Watch
	}
	narrow := func(o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector, o.LabelSelector = r.list.FieldSelector, r.list.LabelSelector
		return o
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			objects, err := list(ctx, narrow(o))
			s.health.note(ctx, "list", r.Resource, err)
			return objects, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := follow(ctx, narrow(o))
			s.health.note(ctx, "watch", r.Resource, err)
			if err == nil {
				// A reflector whose store refuses its first list leaves the watch open that brought it.
				context.AfterFunc(ctx, w.Stop)
			}
			return w, err
		},
	}
}

// health logs when something begins to fail, fails in another way, or works again. What fails for many resources alike,
// as when the API server is away, is one line.
type health struct {
	log     *slog.Logger
	mu      sync.Mutex
	failing map[string]string // resource -> why
	said    bool
}

func (h *health) note(ctx context.Context, action, resource string, err error) {
	if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) {
		// The end; or the ordinary way in which a watch asks for a new list; or a server that cannot stream a first list
		// (before Kubernetes 1.32), which the reflector then asks for a plain one.
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		if delete(h.failing, resource); len(h.failing) == 0 && h.said {
			h.said = false
			h.log.Info("can read everything from the API server again")
		}
		return
	}
	why := cause(err)
	for _, known := range h.failing {
		if known == why {
			h.failing[resource] = why
			return
		}
	}
	h.failing[resource], h.said = why, true
	h.log.Warn("cannot read from the API server; what it said last stays in force", "action", action, "resource", resource, "error", why)
}

// cause leaves out of an error the address that was asked, which differs from time to time.
func cause(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err.Error()
	}
	return err.Error()
}

// rarely is how many times less often is looked for kinds of other products: most clusters lack them for ever.
const rarely = 12

// whenPresent calls start for each resource that has a CRD once the API server serves it, and returns after the last.
func (s *Source) whenPresent(ctx context.Context, missing []resource, start func(resource)) {
	said, none := false, map[string]bool{}
	for len(missing) > 0 {
		served, err := s.served(ctx, v2.SchemeGroupVersion)
		crds := len(served) > 0 // an API server that has just begun may not know any yet
		asked := map[schema.GroupVersion]bool{v2.SchemeGroupVersion: true}
		for _, r := range missing {
			if asked[r.GroupVersion] {
				continue
			}
			asked[r.GroupVersion] = true
			if others, failed := s.served(ctx, r.GroupVersion); err == nil {
				err = failed
				maps.Copy(served, others)
			}
		}
		var still []resource
		var names []string
		wait := s.poll * rarely
		for _, r := range missing {
			if served[r.Resource] {
				start(r)
				continue
			}
			still = append(still, r)
			if !r.Foreign {
				names = append(names, r.Resource)
			}
			if r.Optional && crds && err == nil && !none[r.Resource] {
				none[r.Resource] = true
				_ = (&store{s, ctx, s.rows.Of(r.Kind)}).Replace(nil, "") // its error is that of ctx
			}
			if !r.Foreign || !none[r.Resource] {
				wait = s.poll
			}
		}
		missing = still
		if err == nil && len(names) > 0 && !said {
			said = true
			s.config.Log.Info("waiting for CRDs: install those of the chart (deploy/chart/crds)", "missing", names)
		}
		if len(missing) > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}
}

// served lists the resources of a group that the API server has.
func (s *Source) served(ctx context.Context, gv schema.GroupVersion) (names map[string]bool, err error) {
	defer func() { s.health.note(ctx, "discover", gv.String(), err) }()
	names = map[string]bool{}
	answer := s.clients[gv].Get().AbsPath("/apis", gv.String()).Do(ctx)
	if err := answer.Error(); err != nil {
		if apierrors.IsNotFound(err) {
			err = nil
		}
		return names, err
	}
	var list metav1.APIResourceList
	text, err := answer.Raw()
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	for _, r := range list.APIResources {
		names[r.Name] = true
	}
	return names, err
}

// store hands what a reflector learns to the tables and keeps nothing.
type store struct {
	source *Source
	ctx    context.Context //nolint:containedctx // of the reflector that calls
	rows   kind.Filler
}

func (s *store) do(op func(tx *state.Tx)) error {
	select {
	case s.source.ops <- op:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *store) Add(object any) error    { return s.do(func(tx *state.Tx) { s.rows.Put(tx, object) }) }
func (s *store) Update(object any) error { return s.do(func(tx *state.Tx) { s.rows.Put(tx, object) }) }
func (s *store) Delete(object any) error {
	return s.do(func(tx *state.Tx) { s.rows.Remove(tx, object) })
}
func (s *store) Resync() error { return nil }

func (s *store) Replace(objects []any, _ string) error {
	return s.do(func(tx *state.Tx) { s.rows.Replace(tx, objects) })
}

// Transformer makes the objects of a first list small while the reflector collects them.
func (s *store) Transformer() cache.TransformFunc {
	return func(object any) (any, error) {
		if o, err := meta.Accessor(object); err == nil {
			o.SetManagedFields(nil)
			if kept := o.GetAnnotations(); kept[corev1.LastAppliedConfigAnnotation] != "" { // the object once more
				delete(kept, corev1.LastAppliedConfigAnnotation)
				o.SetAnnotations(kept)
			}
		}
		return object, nil
	}
}

// stoppable is a clock whose alarms ring at the end of a context too, so that no loop sleeps through it.
type stoppable struct {
	clock.RealClock
	ctx context.Context //nolint:containedctx // that is its purpose
}

func (c stoppable) After(d time.Duration) <-chan time.Time {
	rung := make(chan time.Time, 1)
	ring := func() {
		select {
		case rung <- time.Now():
		default:
		}
	}
	timer := time.AfterFunc(d, ring)
	context.AfterFunc(c.ctx, func() { timer.Stop(); ring() })
	return rung
}
