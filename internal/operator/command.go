package operator

import (
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/source/kube"
)

// Command is weft-operator's command line.
func Command(version string) *cobra.Command {
	var kubeconfig, servers string
	var debug bool
	c := Config{Name: os.Getenv("POD_NAME")}
	command := &cobra.Command{
		Use:   "weft-operator",
		Short: "Do what a cluster with Weftnet needs once and not on every node",
		Long: `weft-operator gives nodes their pod prefixes, removes identities and endpoints that no pod uses any more, and
writes into the status of policies what is enforced of them. It makes and renews the certificates by which Hubble's relay and
the agents know each other, if it is told to.

Its configuration is ConfigMap kube-system/cilium-config, which it follows: a change of the pools needs no restart. Any
number of replicas may run; the one that holds the Lease cilium-operator-resource-lock acts. The CRDs must be installed;
the chart has them, and until they are there the operator waits and says which are missing.`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true, Version: version,
		RunE: func(command *cobra.Command, _ []string) (err error) {
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			if c.API, err = kube.Connect(kubeconfig, "weft-operator", servers); err != nil {
				return err
			}
			c.Log.Info("starting", "version", version, "api", c.API.Host)
			return Run(command.Context(), c)
		},
	}
	f := command.Flags()
	f.StringVar(&kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "how to reach the API server; empty: as a pod does")
	f.StringVar(&servers, "k8s-api-server-urls", "", kube.ServersUse)
	f.StringVar(&c.Namespace, "namespace", ownNamespace(), "namespace of the Lease")
	f.StringVar(&c.HealthAddress, "operator-api-serve-addr", "127.0.0.1:9234", "address of /healthz; empty: none")
	f.StringVar(&c.MetricsAddress, "operator-prometheus-serve-addr", ":9963", "address of /metrics; empty: none")
	f.StringVar(&c.WebhookAddress, "webhook-serve-addr", "", "address of the webhook that checks policies and networks as they are applied; empty: none")
	f.BoolVar(&c.Certificates, "hubble-certificates", false, "make and renew the certificates of agents and relays: Secrets cilium-ca, hubble-server-certs, hubble-relay-client-certs")
	f.BoolVar(&debug, "debug", false, "log more")
	return command
}

// ownNamespace is that of the pod this runs in, else that of the configuration.
func ownNamespace() string {
	text, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if name := strings.TrimSpace(string(text)); err == nil && name != "" {
		return name
	}
	return kind.ConfigNamespace
}
