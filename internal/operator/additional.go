package operator

import (
	"context"
	"log/slog"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/openshift"
	"weftnet.io/weftnet/internal/operator/additional"
)

// addNetworks has the manager make definitions of OpenShift's additionalNetworks from the moment at which the API server serves both kinds,
// which most clusters' never does.
func (k *kinds) addNetworks(m manager.Manager, log *slog.Logger) error {
	return m.Add(manager.RunnableFunc(func(ctx context.Context) error {
		err := wait.PollUntilContextCancel(ctx, k.pollLate, true, func(ctx context.Context) (bool, error) {
			one, err := k.lacking(ctx, openshift.GroupVersion, []string{openshift.Resource})
			if err != nil || len(one) > 0 {
				return false, nil // an error is gone the next time, or others tell of it
			}
			other, err := k.lacking(ctx, cncfv1.SchemeGroupVersion, []string{cncfv1.NetworkAttachmentDefinitionResource})
			return err == nil && len(other) == 0, nil
		})
		if err != nil {
			return nil //nolint:nilerr // the end came first
		}
		return additional.Add(m, log)
	}))
}
