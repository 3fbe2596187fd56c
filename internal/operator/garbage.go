package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/operator/address"
	"weftnet.io/weftnet/internal/operator/pace"
	"weftnet.io/weftnet/internal/sink/kube"
)

const (
	identityEvery = time.Minute
	identityRest  = 15 * time.Minute // longer than any gap in a watch that a node outlives
	addressEvery  = time.Minute
	endpointEvery = time.Minute // two looks: an agent may not take over what an earlier pod has left on another node
)

var (
	identityEntries = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cilium_operator_identity_gc_entries", Help: "Identities alive after, and deleted in, the last look for unused ones.",
	}, []string{"status"})
	identityRuns = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cilium_operator_identity_gc_runs", Help: "Looks for unused identities, by outcome.",
	}, []string{"outcome"})
	endpointObjects = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cilium_operator_endpoint_gc_objects", Help: "CiliumEndpoints deleted because their pod is gone, by outcome.",
	}, []string{"outcome"})
)

func init() { metrics.Registry.MustRegister(identityEntries, identityRuns, endpointObjects) }

// every runs a sweep again and again while this replica leads. A failure is logged; the next sweep is the retry.
func every(m manager.Manager, log *slog.Logger, name string, interval time.Duration, sweep func(context.Context) error) error {
	return m.Add(manager.RunnableFunc(func(ctx context.Context) error {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			if err := sweep(ctx); err != nil && ctx.Err() == nil {
				log.Warn("a sweep did not do all it should; it will try again", "sweep", name, "again", interval, "error", err)
			}
		}
	}))
}

// addAddresses sweeps addresses of further networks.
func addAddresses(m manager.Manager, log *slog.Logger) error {
	keep := func(ctx context.Context) (time.Duration, error) {
		c, err := configuration(ctx, m.GetClient())
		return c.Networks.Keep, err
	}
	s, err := address.New(address.Config{
		API: m.GetConfig(), Cached: m.GetClient(), Live: m.GetAPIReader(), Now: time.Now, Log: log, Keep: keep, Events: m.GetEventRecorder("weft-operator"),
	})
	if err != nil {
		return err
	}
	return every(m, log, "addresses of further networks", addressEvery, s.Sweep)
}

// identities deletes CiliumIdentities that no CiliumEndpoint uses. See package sink/kube for how agents keep one alive.
type identities struct {
	client client.Client
	live   client.Reader
	log    *slog.Logger
	now    func() time.Time

	mu   sync.Mutex
	seen map[string]notedMark // of marks, by identity
}

// notedMark is a mark, and since when this process knows it. Its own clock decides when an identity has rested: the time in a mark is of
// a clock that may have jumped since, or of another machine's.
type notedMark struct {
	mark string
	at   time.Time
}

func addIdentities(m manager.Manager, log *slog.Logger) error {
	s := &identities{client: m.GetClient(), live: m.GetAPIReader(), log: log, now: time.Now}
	return every(m, log, "identities", identityEvery, s.sweep)
}

func (s *identities) sweep(ctx context.Context) error {
	// Identities first: one that is claimed in between is then not in the list.
	var list v2.CiliumIdentityList
	if err := s.client.List(ctx, &list); err != nil {
		return fmt.Errorf("list CiliumIdentities: %w", err)
	}
	s.look(list.Items)
	used, err := inUse(ctx, s.client, 0)
	due := func(o v2.CiliumIdentity) bool { return !used[o.Name] && s.rested(&o) }
	if err == nil && slices.ContainsFunc(list.Items, due) {
		used, err = inUse(ctx, s.live, 500) // the cache may not have the endpoint that has just begun to use it
	}
	if err != nil {
		return err
	}
	deleted, err := s.judgeAll(ctx, list.Items, used)
	identityEntries.WithLabelValues("alive").Set(float64(len(list.Items) - deleted))
	identityEntries.WithLabelValues("deleted").Set(float64(deleted))
	outcome := "success"
	if err != nil {
		outcome = "fail"
	}
	identityRuns.WithLabelValues(outcome).Inc()
	return err
}

// judgeAll judges several at a time, and counts those that it has deleted.
func (s *identities) judgeAll(ctx context.Context, list []v2.CiliumIdentity, used map[string]bool) (deleted int, err error) {
	gone, errs := make([]bool, len(list)), make([]error, len(list))
	var all errgroup.Group
	all.SetLimit(pace.Writers)
	for i := range list {
		all.Go(func() error {
			o := &list[i]
			gone[i], errs[i] = s.judge(ctx, o, used[o.Name])
			if apierrors.IsConflict(errs[i]) || apierrors.IsNotFound(errs[i]) { // another writer has just touched it: next time
				errs[i] = nil
			}
			return nil
		})
	}
	_ = all.Wait() // the errors are in errs
	for _, g := range gone {
		if g {
			deleted++
		}
	}
	return deleted, errors.Join(errs...)
}

// inUse lists the numbers that endpoints have: in pages of this size, or all at once if it is 0, as a cache must be asked.
func inUse(ctx context.Context, r client.Reader, size int64) (map[string]bool, error) {
	used := map[string]bool{}
	next := &client.ListOptions{Limit: size}
	for {
		var page v2.CiliumEndpointList
		if err := r.List(ctx, &page, next); err != nil {
			return nil, fmt.Errorf("list CiliumEndpoints: %w", err)
		}
		for i := range page.Items {
			if id := page.Items[i].Status.Identity; id != nil {
				used[strconv.FormatInt(id.ID, 10)] = true
			}
		}
		if next.Continue = page.Continue; size == 0 || next.Continue == "" {
			return used, nil
		}
	}
}

// look notes the marks that are new, and forgets those that are gone.
func (s *identities) look(list []v2.CiliumIdentity) {
	seen := map[string]notedMark{}
	for _, o := range list {
		mark, marked := o.Annotations[kube.UnusedSince]
		if old := s.seen[o.Name]; marked && old.mark == mark {
			seen[o.Name] = old
		} else if marked {
			seen[o.Name] = notedMark{mark, s.now()}
		}
	}
	s.mu.Lock()
	s.seen = seen
	s.mu.Unlock()
}

// note remembers a mark that this process has made.
func (s *identities) note(name, mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen != nil {
		s.seen[name] = notedMark{mark, s.now()}
	}
}

// rested tells whether an identity has been marked for long enough.
func (s *identities) rested(o *v2.CiliumIdentity) bool {
	s.mu.Lock()
	known, ok := s.seen[o.Name]
	s.mu.Unlock()
	return ok && known.mark == o.Annotations[kube.UnusedSince] && s.now().Sub(known.at) >= identityRest
}

// judge marks an identity, takes its mark away, or deletes it.
func (s *identities) judge(ctx context.Context, o *v2.CiliumIdentity, used bool) (gone bool, err error) {
	mark, marked := o.Annotations[kube.UnusedSince]
	switch {
	case used && marked:
		delete(o.Annotations, kube.UnusedSince)
		err = s.client.Update(ctx, o)
	case used:
		err = nil
	case !marked:
		if o.Annotations == nil {
			o.Annotations = map[string]string{}
		}
		mark = s.now().UTC().Format(time.RFC3339)
		o.Annotations[kube.UnusedSince] = mark
		if err = s.client.Update(ctx, o); err == nil {
			s.note(o.Name, mark)
		}
	case s.rested(o):
		if err = deleteExactly(ctx, s.client, o); err == nil {
			s.log.Info("deleted an identity that no endpoint used", "identity", o.Name, "labels", o.SecurityLabels, "unused-since", mark)
			return true, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("collect CiliumIdentity %s: %w", o.Name, err)
	}
	return false, nil
}

// endpoints deletes CiliumEndpoints whose pod is gone. Kubernetes does so for those that name their pod as owner; this is
// for those that do not, or whose owner is another pod of the same name.
type endpoints struct {
	client client.Client
	live   client.Reader
	log    *slog.Logger
	orphan map[types.UID]bool // without a pod when last looked
}

func addEndpoints(m manager.Manager, log *slog.Logger) error {
	s := &endpoints{m.GetClient(), m.GetAPIReader(), log, nil}
	return every(m, log, "endpoints", endpointEvery, s.sweep)
}

func (s *endpoints) sweep(ctx context.Context) error {
	var list v2.CiliumEndpointList
	if err := s.client.List(ctx, &list); err != nil {
		return fmt.Errorf("list CiliumEndpoints: %w", err)
	}
	orphan := map[types.UID]bool{}
	var errs []error
	for i := range list.Items {
		o := &list.Items[i]
		lives, err := alive(ctx, s.client, o)
		if err == nil && !lives && s.orphan[o.UID] {
			lives, err = alive(ctx, s.live, o)
			if err == nil && !lives {
				err = s.remove(ctx, o)
				lives = err == nil
			}
		}
		if err != nil {
			errs = append(errs, err)
		}
		if !lives {
			orphan[o.UID] = true
		}
	}
	s.orphan = orphan
	return errors.Join(errs...)
}

func (s *endpoints) remove(ctx context.Context, o *v2.CiliumEndpoint) error {
	err := deleteExactly(ctx, s.client, o)
	if apierrors.IsConflict(err) {
		return nil // its node has just written it: look again next time
	}
	if err != nil {
		endpointObjects.WithLabelValues("fail").Inc()
		return fmt.Errorf("delete CiliumEndpoint %s/%s, whose pod is gone: %w", o.Namespace, o.Name, err)
	}
	endpointObjects.WithLabelValues("success").Inc()
	s.log.Info("deleted a CiliumEndpoint whose pod is gone", "endpoint", o.Namespace+"/"+o.Name)
	return nil
}

// alive tells whether the pod of an endpoint exists.
func alive(ctx context.Context, r client.Reader, o *v2.CiliumEndpoint) (bool, error) {
	pod := podMetadata()
	err := r.Get(ctx, client.ObjectKeyFromObject(o), pod)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read Pod %s/%s: %w", o.Namespace, o.Name, err)
	}
	for _, ref := range o.OwnerReferences {
		if ref.Kind == "Pod" {
			return ref.UID == pod.UID, nil
		}
	}
	return true, nil
}
