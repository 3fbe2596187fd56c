package program

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"github.com/spf13/cobra"
)

// Command is weft-relay's command line.
func Command(version string) *cobra.Command {
	var file string
	var debug bool
	var said Config
	command := &cobra.Command{
		Use:   "weft-relay",
		Short: "Answer Hubble's clients for a whole cluster",
		Long: `weft-relay asks the agents of all nodes for their flows and gives them to clients in one order, as Hubble's relay
does. It finds the nodes by asking any agent (peer.Peer), and speaks with agents by TLS, to which both ends show
certificates; weft-operator --hubble-certificates makes them. Files with certificates are read for each connection.

Its configuration is a YAML file with server.address (where it listens), relay.address (where clients find it),
relay.tls.enabled (to clients), or with the names that upstream's relay has: cluster-name, peer-service,
listen-address, health-listen-address, metrics-listen-address, retry-timeout, sort-buffer-len-max,
sort-buffer-drain-timeout, tls-hubble-client-cert-file, tls-hubble-client-key-file, tls-hubble-server-ca-files,
disable-client-tls, tls-relay-server-cert-file, tls-relay-server-key-file, tls-relay-client-ca-files,
disable-server-tls. Flags win over the file.

Clients send a Kubernetes token; the API server says who they are, and they see the flows of the namespaces in which
they may get flows.weftnet.io, or all if they may in all. With hubble-relay-anonymous: true (file, flag, or
$HUBBLE_RELAY_ANONYMOUS) nothing is asked, and any client sees everything.`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true, Version: version,
		RunE: func(command *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			c, err := ReadConfig(file)
			if err != nil {
				return err
			}
			for name, to := range said.flags() {
				if command.Flags().Changed(name) {
					*c.flags()[name] = *to
				}
			}
			if text, set := os.LookupEnv(anonymousEnv); set && text != "" && !command.Flags().Changed("hubble-relay-anonymous") {
				if c.Anonymous, err = strconv.ParseBool(text); err != nil {
					return fmt.Errorf("$%s, hubble-relay-anonymous of ConfigMap cilium-config: %q is neither true nor false", anonymousEnv, text)
				}
			}
			if command.Flags().Changed("hubble-relay-anonymous") {
				c.Anonymous = said.Anonymous
			}
			log.Info("starting", "version", version, "address", c.ListenAddress, "peers", c.PeerService)
			return Run(command.Context(), c, version, log)
		},
	}
	f := command.Flags()
	f.StringVar(&file, "config", "", "file of the configuration; empty: none")
	for name, to := range said.flags() {
		f.StringVar(to, name, "", usage[name])
	}
	f.BoolVar(&said.Anonymous, "hubble-relay-anonymous", false, "do not ask clients who they are, and give any of them all flows")
	f.BoolVar(&debug, "debug", false, "log more")
	return command
}

// flags are the fields that a flag may say.
func (c *Config) flags() map[string]*string {
	return map[string]*string{
		"cluster-name": &c.ClusterName, "peer-service": &c.PeerService, "listen-address": &c.ListenAddress,
		"kubeconfig": &c.Kubeconfig, "k8s-api-server-urls": &c.APIServers,
		"health-listen-address": &c.HealthAddress, "metrics-listen-address": &c.MetricsAddress,
	}
}

// anonymousEnv is where the chart puts the key of ConfigMap cilium-config.
const anonymousEnv = "HUBBLE_RELAY_ANONYMOUS"

var usage = map[string]string{
	"cluster-name":           "name of the cluster, as in cilium-config (default \"default\")",
	"peer-service":           "address of an agent, which tells of all nodes: HOST:PORT or unix://PATH (default hubble-peer.kube-system.svc.cluster.local:443)",
	"kubeconfig":             "file that says where the API server is, which knows clients; empty: as the pod's service account says",
	"k8s-api-server-urls":    "addresses of several API servers, by commas or spaces",
	"listen-address":         "address for clients (default :4245)",
	"health-listen-address":  "address for probes, by grpc.health.v1 (default :4222)",
	"metrics-listen-address": "address of /metrics; empty: none",
}
