package operator

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/operator/admission"
	"weftnet.io/weftnet/internal/operator/condition"
	"weftnet.io/weftnet/internal/policy/gap"
)

// addWebhook lets this replica answer the API server about policies and networks. What policies select is told by the identities of the
// cluster, which the control of identities watches anyway.
func addWebhook(m manager.Manager, c Config, f condition.Facts) error {
	keeper := &admission.Keeper{Reader: m.GetAPIReader(), Writer: m.GetClient(), Namespace: c.Namespace, Leads: m.Elected(), Log: c.Log}
	running := func(ctx context.Context) (out []identity.Labels) {
		var list v2.CiliumIdentityList
		if err := m.GetClient().List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
			return nil // not known: nothing is said about it
		}
		for _, i := range list.Items {
			out = append(out, identity.NewLabels(i.SecurityLabels))
		}
		return out
	}
	world := func(ctx context.Context) *gap.World {
		w, _, err := f.World(ctx)
		if err != nil {
			return nil // as above
		}
		return &w
	}
	return errors.Join(m.Add(keeper), m.Add(&admission.Server{
		Address: c.WebhookAddress, Keeper: keeper, Review: &admission.Reviewer{Running: running, World: world, Log: c.Log}, Log: c.Log,
	}))
}
