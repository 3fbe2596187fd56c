package operator

import (
	"context"
	"errors"
	"log/slog"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"weftnet.io/weftnet/api/cilium/v2alpha1"
	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/language/openshift"
	"weftnet.io/weftnet/internal/operator/additional"
	"weftnet.io/weftnet/internal/operator/claim"
	"weftnet.io/weftnet/internal/operator/overlay"
	"weftnet.io/weftnet/internal/operator/pool"
)

// addNetworks has the manager make definitions of OpenShift's additionalNetworks, and IPAMClaims, and give parts of pools, and numbers to OverlayNetworks, from the moment at
// which the API server serves what these need, which many clusters' never does.
func (k *kinds) addNetworks(m manager.Manager, log *slog.Logger) error {
	definitions := cncfv1.SchemeGroupVersion.WithResource(cncfv1.NetworkAttachmentDefinitionResource)
	return errors.Join(
		k.late(m, func() error { return additional.Add(m, log) }, definitions, openshift.GroupVersion.WithResource(openshift.Resource)),
		k.late(m, func() error { return claim.Add(m, log) }, definitions, attachment.ClaimVersion.WithResource(attachment.ClaimResource)),
		k.late(m, func() error { return overlay.Add(m, log) },
			netobject.InterfaceVersion.WithResource(netobject.OverlayResource), netobject.InterfaceVersion.WithResource(netobject.InterfaceResource)),
		k.late(m, func() error { return pool.Add(m, log) }, v2alpha1.SchemeGroupVersion.WithResource(v2alpha1.PodIPPoolResource)),
	)
}

// late begins something once the API server serves all of these kinds.
func (k *kinds) late(m manager.Manager, begin func() error, needs ...schema.GroupVersionResource) error {
	return m.Add(manager.RunnableFunc(func(ctx context.Context) error {
		err := wait.PollUntilContextCancel(ctx, k.pollLate, true, func(ctx context.Context) (bool, error) {
			for _, n := range needs {
				if missing, err := k.lacking(ctx, n.GroupVersion(), []string{n.Resource}); err != nil || len(missing) > 0 {
					return false, nil // an error is gone the next time, or others tell of it
				}
			}
			return true, nil
		})
		if err != nil {
			return nil //nolint:nilerr // the end came first
		}
		return begin()
	}))
}
