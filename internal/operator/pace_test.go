package operator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/operator/condition"
	"weftnet.io/weftnet/internal/operator/pace"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

// far is a server whose writes take as long as those of one whose disks are slow.
type far struct{ *apitest.Server }

const disk = 25 * time.Millisecond

// RoundTrip makes it a http.RoundTripper, without a network.
func (f far) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		time.Sleep(disk)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

// cached reads without asking for a turn, as from a cache.
type cached struct {
	client.Client
	cache client.Client
}

func (c cached) Get(ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
	return c.cache.Get(ctx, key, into, o...)
}

func (c cached) List(ctx context.Context, into client.ObjectList, o ...client.ListOption) error {
	return c.cache.List(ctx, into, o...)
}

// operatorsClient has the pace of the operator, and its cache.
func operatorsClient(t *testing.T, w *world) client.Client {
	api := &rest.Config{Host: "http://far.example", ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeJSON}}
	free := rest.CopyConfig(api)
	free.QPS = -1
	var both [2]client.Client
	for i, config := range []*rest.Config{pace.Of(api), free} {
		c, err := client.New(config, client.Options{Scheme: newScheme(), Mapper: mapper(), HTTPClient: &http.Client{Transport: far{w.Server}}})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = c
	}
	return cached{both[0], both[1]}
}

func TestAThousandStatusesTakeFiveSecondsAtMost(t *testing.T) {
	w := newWorld(t)
	for i := range 1000 {
		w.Put(fmt.Sprintf("%snamespaces/shop/ciliumnetworkpolicies/p%d", cilium, i), &v2.CiliumNetworkPolicy{Spec: &v2.Rule{
			EndpointSelector: &v2.LabelSelector{}, Ingress: []v2.IngressRule{{}},
		}})
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := &statuses{operatorsClient(t, w), judgement{kind: kind.Named(language.KindCilium), judge: func(_ context.Context, o kind.Object) (condition.Assessment, error) {
			return condition.Of(language.KindCilium, o, gap.Default())
		}}}
		var queue errgroup.Group
		queue.SetLimit(pace.Many.MaxConcurrentReconciles)
		for i := range 1000 {
			queue.Go(func() error {
				_, err := s.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("p%d", i)}})
				return err
			})
		}
		if err := queue.Wait(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("1000 statuses took %v", took)
		}
	})
}

func TestAHundredIdentitiesGoEachSecond(t *testing.T) {
	w := newWorld(t)
	const count = 2000
	for i := range count {
		w.Put(fmt.Sprintf("%sciliumidentities/%d", cilium, 300+i), &v2.CiliumIdentity{})
	}
	synctest.Test(t, func(t *testing.T) {
		c := operatorsClient(t, w)
		s := &identities{client: c, live: c, log: w.logger(), now: time.Now}
		begin := time.Now()
		for range 2 {
			if err := s.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(identityRest)
		}
		if took := time.Since(begin) - 2*identityRest; took > count/100*time.Second {
			t.Errorf("%d identities took %v", count, took)
		}
		if left := w.Paths(cilium + "ciliumidentities/"); len(left) != 0 {
			t.Errorf("%d identities are left", len(left))
		}
	})
}

func TestAPaceThatIsAskedForStands(t *testing.T) {
	if c := pace.Of(&rest.Config{QPS: 7, Burst: 9}); c.QPS != 7 || c.Burst != 9 {
		t.Errorf("%v, %d", c.QPS, c.Burst)
	}
}
