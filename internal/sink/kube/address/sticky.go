package address

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
)

// sticky is the record of a workload whose name outlives its pods.
type sticky struct {
	book    *Book
	request Request
	had     *v1alpha1.StickyAddress // as it was read; nil: there is none
}

// name is like db-0-3f9a0c1b2d4e5f60.
func (s *sticky) name() string {
	q := s.request
	h := fnv.New64a()
	for _, part := range []string{q.Owner.String(), q.Network, q.Space, q.Holder.Interface} {
		h.Write([]byte(part + "\x00"))
	}
	short := q.Owner.Name
	if q.Owner.Pod != "" {
		short = q.Owner.Pod
	}
	return fmt.Sprintf("%s-%016x", strings.TrimRight(short[:min(len(short), 40)], "-."), h.Sum64())
}

func (s *sticky) read(ctx context.Context) (has, asks []netip.Prefix, err error) {
	o, err := s.book.sticky.Get(ctx, s.request.Owner.Namespace, s.name())
	if apierrors.IsNotFound(err) {
		s.had = nil
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read StickyAddress %s/%s: %w", s.request.Owner.Namespace, s.name(), err)
	}
	s.had = o
	for i, text := range o.Spec.Addresses {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, nil, fmt.Errorf("StickyAddress %s/%s: spec.addresses[%d]: %q is no address with the length of its subnet: delete the object, and the next pod gets new ones", o.Namespace, o.Name, i, text)
		}
		has = append(has, p)
	}
	return has, nil, nil
}

func (s *sticky) write(ctx context.Context, is []netip.Prefix) error {
	q := s.request
	o := &v1alpha1.StickyAddress{}
	if s.had != nil {
		o = s.had.DeepCopy()
	}
	o.Namespace, o.Name = q.Owner.Namespace, s.name()
	o.Spec = v1alpha1.StickyAddressSpec{Owner: q.Owner.String(), Network: q.Network, Space: q.Space, Interface: q.Holder.Interface, Addresses: texts(is)}
	if q.Owner.UID != "" {
		o.OwnerReferences = []metav1.OwnerReference{{APIVersion: q.Owner.APIVersion, Kind: q.Owner.Kind, Name: q.Owner.Name, UID: types.UID(q.Owner.UID)}}
	}
	if s.had == nil {
		return s.book.sticky.Create(ctx, o)
	}
	return s.book.sticky.Update(ctx, o)
}

func (s *sticky) refuse(context.Context, error) {}

func texts(list []netip.Prefix) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return out
}
