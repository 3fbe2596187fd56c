package conformance

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/network-policy-api/conformance/tests"
	"sigs.k8s.io/network-policy-api/conformance/utils/suite"
)

// bySCTP are the tests that call by SCTP, some of them among other ways.
const bySCTP = "/SCTP|/Gress|/InlineCIDRPeers|/NodePeers/deny-egress"

func TestMain(m *testing.M) {
	flag.Parse()
	if skip := flag.Lookup("test.skip"); !sctp() && skip.Value.String() == "" {
		fmt.Println("this kernel has no SCTP sockets: left out is what calls by SCTP")
		_ = skip.Value.Set(bySCTP)
	}
	os.Exit(m.Run())
}

func TestClusterNetworkPolicyConforms(t *testing.T) {
	if os.Getenv("KUBECONFIG") == "" {
		t.Skip("needs a cluster: KUBECONFIG says which")
	}
	cfg, err := config.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst = 100, 100
	clients, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := client.NewWithWatch(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := v1alpha2.Install(direct.Scheme()); err != nil {
		t.Fatal(err)
	}
	o := suite.Options{Client: direct, ClientSet: clients, KubeConfig: *cfg, CleanupBaseResources: true, EnableAllSupportedFeatures: true}
	if !sctp() {
		o.Client = interceptor.NewClient(direct, interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if u, ok := object.(*unstructured.Unstructured); ok && u.GetKind() == "StatefulSet" {
				if err := rest(u); err != nil {
					return err
				}
			}
			return c.Create(ctx, object, options...)
		}})
	}
	s := suite.New(o)
	s.Setup(t)
	s.Run(t, tests.ConformanceTests)
}

// sctp tells whether the kernel of this machine, and so of a lab on it, has SCTP sockets.
func sctp() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// rest lets the containers of a StatefulSet that would listen by SCTP do nothing.
func rest(set *unstructured.Unstructured) error {
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(set.Object, path...)
	if err != nil {
		return err
	}
	for _, c := range containers {
		one := c.(map[string]any)
		env, _, err := unstructured.NestedSlice(one, "env")
		if err != nil {
			return err
		}
		for _, v := range env {
			if name, _, _ := unstructured.NestedString(v.(map[string]any), "name"); strings.HasPrefix(name, "SERVE_SCTP_PORT_") {
				one["command"] = []any{"/agnhost", "pause"}
			}
		}
	}
	return unstructured.SetNestedSlice(set.Object, containers, path...)
}
