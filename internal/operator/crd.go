package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/operator/condition"
)

// required are the resources of cilium.io that the operator reads and that every cluster has: the chart brings their CRDs.
func required() (out []string) {
	for k := range kind.ReadBy(kind.Operator) {
		if k.GroupVersion == v2.SchemeGroupVersion && !k.Optional {
			out = append(out, k.Resource)
		}
	}
	return out
}

// kinds tells which kinds of objects the API server serves.
type kinds struct {
	discovery *discovery.DiscoveryClient
	log       *slog.Logger
	poll      time.Duration // for required ones
	pollLate  time.Duration // for optional ones
}

func newKinds(api *rest.Config, log *slog.Logger) (*kinds, error) {
	d, err := discovery.NewDiscoveryClientForConfig(api)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server %s: %w", api.Host, err)
	}
	return &kinds{d, log, 5 * time.Second, 30 * time.Second}, nil
}

// await waits until the API server serves all that are required. Its only error is that of ctx.
func (k *kinds) await(ctx context.Context) error {
	said := ""
	return wait.PollUntilContextCancel(ctx, k.poll, true, func(ctx context.Context) (bool, error) {
		missing, err := k.lacking(ctx, v2.SchemeGroupVersion, required())
		if err == nil && len(missing) == 0 {
			return true, nil
		}
		obstacle := fmt.Sprint(err, missing)
		if obstacle == said || ctx.Err() != nil {
			return false, nil
		}
		said = obstacle
		if err != nil {
			k.log.Warn("waiting for the API server", "error", err)
		} else {
			k.log.Warn("waiting for CRDs of cilium.io: install those of the chart (kubectl apply --server-side -f deploy/chart/crds)",
				"missing", missing)
		}
		return false, nil
	})
}

// follow has the manager look after each optional kind from the moment at which the API server serves it.
func (k *kinds) follow(m manager.Manager, f condition.Facts) error {
	for one := range kind.ReadBy(kind.Operator) {
		if !one.Optional || !one.Judged() {
			continue
		}
		err := m.Add(manager.RunnableFunc(func(ctx context.Context) error {
			err := wait.PollUntilContextCancel(ctx, k.pollLate, true, func(ctx context.Context) (bool, error) {
				missing, err := k.lacking(ctx, one.GroupVersion, []string{one.Resource})
				return err == nil && len(missing) == 0, nil // an error is gone the next time, or others tell of it
			})
			if err != nil {
				return nil //nolint:nilerr // the end came first
			}
			if err := addConditions(m, f, one); err != nil {
				return fmt.Errorf("prepare the control of %s: %w", one.Resource, err)
			}
			return nil
		}))
		if err != nil {
			return fmt.Errorf("prepare the control of %s: %w", one.Resource, err)
		}
	}
	return nil
}

// lacking lists the resources of a group that the API server does not serve.
func (k *kinds) lacking(ctx context.Context, gv schema.GroupVersion, resources []string) ([]string, error) {
	text, err := k.discovery.RESTClient().Get().AbsPath("/apis", gv.String()).Do(ctx).Raw()
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("ask which kinds of %s there are: %w", gv, err)
	}
	var list metav1.APIResourceList
	if err == nil {
		err = json.Unmarshal(text, &list)
	} else {
		err = nil
	}
	missing := slices.DeleteFunc(slices.Clone(resources), func(name string) bool {
		return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == name })
	})
	return missing, err
}
