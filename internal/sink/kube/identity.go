package kube

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/kube/object"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

const namespaceKey = "io.kubernetes.pod.namespace"

// Identities meets the claims of table IdentityClaims: for each label set there is a CiliumIdentity.
//
// Dump gives the claims that it has met and that the table Identities still has, so a short Every makes a new identity
// soon after a person has deleted one that is in use. It costs no call to the API server.
type Identities struct {
	db  *state.DB
	t   *table.Tables
	api object.Client[v2.CiliumIdentity, *v2.CiliumIdentity]
	met map[identity.Labels]bool
}

var _ reconcile.Sink[table.IdentityClaim] = (*Identities)(nil)

// NewIdentities makes the sink of t.IdentityClaims.
func NewIdentities(api *rest.Config, db *state.DB, t *table.Tables) (*Identities, error) {
	client, err := connect[v2.CiliumIdentity](api, v2.SchemeGroupVersion, v2.IdentityResource)
	return &Identities{db, t, client, map[identity.Labels]bool{}}, err
}

// Dump gives the claims that are met.
func (s *Identities) Dump(context.Context) (iter.Seq2[state.Key, table.IdentityClaim], error) {
	now := s.db.Snapshot()
	met := map[state.Key]table.IdentityClaim{}
	for labels := range s.met {
		for range s.t.Identities.By(now, table.ByLabels, state.Join(labels.String())) {
			c := table.IdentityClaim{Labels: labels}
			met[s.t.IdentityClaims.Key(c)] = c
		}
	}
	return maps.All(met), nil
}

// Set meets claims.
func (s *Identities) Set(ctx context.Context, claims []table.IdentityClaim) error {
	var errs []error
	for _, c := range claims {
		if err := s.meet(ctx, c.Labels); err != nil {
			errs = append(errs, &reconcile.RowError{Key: s.t.IdentityClaims.Key(c), Err: err})
			continue
		}
		s.met[c.Labels] = true
	}
	return errors.Join(errs...)
}

// Unset forgets claims. The identities stay: others may use them, and the operator removes those that none does.
func (s *Identities) Unset(_ context.Context, claims []table.IdentityClaim) error {
	for _, c := range claims {
		delete(s.met, c.Labels)
	}
	return nil
}

// meet makes sure that there is an identity with these labels.
func (s *Identities) meet(ctx context.Context, labels identity.Labels) error {
	now := s.db.Snapshot()
	for known := range s.t.Identities.By(now, table.ByLabels, state.Join(labels.String())) {
		if ok, err := s.use(ctx, known.Number, labels); ok || err != nil {
			return err
		}
	}
	cluster := s.t.Config(now).ClusterID
	first := identity.Candidate(labels, cluster)
	for n := first; ; {
		if known, taken := s.t.Identities.One(now, state.Join(uint32(n))); !taken || known.Labels == labels {
			if done, err := s.take(ctx, n, labels); done || err != nil {
				return err
			}
		}
		if n = identity.Next(n, cluster); n == first {
			return fmt.Errorf("claim an identity for %s: every number of cluster %d belongs to other labels; "+
				"exclude labels of high cardinality with the setting labels", labels, cluster)
		}
	}
}

// take creates the identity with a number, unless another agent has. It is not done if the number has other labels.
func (s *Identities) take(ctx context.Context, n identity.Number, labels identity.Labels) (done bool, err error) {
	o := &v2.CiliumIdentity{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(uint32(n))}, SecurityLabels: labels.Map()}
	if namespace, ok := labels.Value("k8s:" + namespaceKey); ok {
		o.Labels = map[string]string{namespaceKey: namespace}
	}
	switch err := s.api.Create(ctx, o); {
	case err == nil:
		return true, nil
	case !apierrors.IsAlreadyExists(err):
		return false, fmt.Errorf("create CiliumIdentity %s for %s: %w", o.Name, labels, err)
	}
	return s.use(ctx, n, labels)
}

// use makes sure that an identity that is there stays. It is not done if there is none, or with other labels.
func (s *Identities) use(ctx context.Context, n identity.Number, labels identity.Labels) (done bool, err error) {
	o, err := s.api.Get(ctx, "", fmt.Sprint(uint32(n)))
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read CiliumIdentity %d: %w", n, err)
	case identity.NewLabels(o.SecurityLabels) != labels:
		return false, nil
	}
	if _, marked := o.Annotations[UnusedSince]; !marked {
		return true, nil
	}
	delete(o.Annotations, UnusedSince)
	if err := s.api.Update(ctx, o); err != nil {
		return false, fmt.Errorf("take the mark %s off CiliumIdentity %d: %w", UnusedSince, n, err)
	}
	return true, nil
}
