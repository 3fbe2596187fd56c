package operator

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/operator/condition"
	"weftnet.io/weftnet/internal/operator/pace"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

// slow passes requests on, writes after what a disk takes, and tells when it has seen enough of them.
type slow struct {
	http.RoundTripper
	left   atomic.Int64
	enough chan struct{}
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	counts := r.Method == http.MethodPut || r.Method == http.MethodDelete
	if counts {
		time.Sleep(5 * time.Millisecond)
	}
	answer, err := s.RoundTripper.RoundTrip(r)
	if counts && err == nil && answer.StatusCode < 300 && s.left.Add(-1) == 0 {
		close(s.enough)
	}
	return answer, err
}

// path is the operator's way to a server whose writes take 5 ms, until it has seen this many.
func path(server *apitest.Server, writes int) (*rest.Config, *slow) {
	s := &slow{enough: make(chan struct{})}
	s.left.Store(int64(writes))
	c := server.Config()
	c.QPS = 0
	c.Wrap(func(next http.RoundTripper) http.RoundTripper { s.RoundTripper = next; return s })
	return pace.Of(c), s
}

// BenchmarkAThousandStatuses is an operator that is new to a cluster with that many policies.
func BenchmarkAThousandStatuses(b *testing.B) {
	const count = 1000
	for b.Loop() {
		server := apitest.New(b)
		server.Serve(required()...)
		for i := range count {
			server.Put(fmt.Sprintf("%snamespaces/shop/ciliumnetworkpolicies/p%d", cilium, i), &v2.CiliumNetworkPolicy{Spec: &v2.Rule{
				EndpointSelector: &v2.LabelSelector{}, Ingress: []v2.IngressRule{{}},
			}})
		}
		api, way := path(server, count)
		again := true // the library counts names of controllers for the whole process
		m, err := manager.New(api, manager.Options{
			Controller: config.Controller{SkipNameValidation: &again},
			Scheme:     newScheme(), Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
			MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper(), nil },
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := addAllConditions(m, condition.Facts{Client: m.GetClient()}); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Start(ctx) }()
		select {
		case <-way.enough:
		case err := <-ended:
			b.Fatalf("the operator has ended: %v", err)
		}
		cancel()
		if err := <-ended; err != nil && !strings.Contains(err.Error(), "context canceled") {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "statuses/s")
}

// BenchmarkIdentitiesGo is the collection of 2,000 identities, each with two writes: its mark, and its end.
func BenchmarkIdentitiesGo(b *testing.B) {
	const count = 2000
	for b.Loop() {
		server := apitest.New(b)
		server.Serve(required()...)
		for i := range count {
			server.Put(fmt.Sprintf("%sciliumidentities/%d", cilium, 300+i), &v2.CiliumIdentity{})
		}
		api, _ := path(server, 2*count)
		c, err := client.New(api, client.Options{Scheme: newScheme(), Mapper: mapper()})
		if err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		s := &identities{client: c, live: c, log: slog.New(slog.DiscardHandler), now: func() time.Time { return now }}
		for range 2 {
			if err := s.sweep(b.Context()); err != nil {
				b.Fatal(err)
			}
			now = now.Add(identityRest)
		}
		if left := server.Paths(cilium + "ciliumidentities/"); len(left) > 0 {
			b.Fatalf("%d identities are left", len(left))
		}
	}
	b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "identities/s")
}
