package relay

import (
	"log/slog"
	"os"

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
disable-server-tls. Flags win over the file.`,
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
			log.Info("starting", "version", version, "address", c.ListenAddress, "peers", c.PeerService)
			return Run(command.Context(), c, version, log)
		},
	}
	f := command.Flags()
	f.StringVar(&file, "config", "", "file of the configuration; empty: none")
	for name, to := range said.flags() {
		f.StringVar(to, name, "", usage[name])
	}
	f.BoolVar(&debug, "debug", false, "log more")
	return command
}

// flags are the fields that a flag may say.
func (c *Config) flags() map[string]*string {
	return map[string]*string{
		"cluster-name": &c.ClusterName, "peer-service": &c.PeerService, "listen-address": &c.ListenAddress,
		"health-listen-address": &c.HealthAddress, "metrics-listen-address": &c.MetricsAddress,
	}
}

var usage = map[string]string{
	"cluster-name":           "name of the cluster, as in cilium-config (default \"default\")",
	"peer-service":           "address of an agent, which tells of all nodes: HOST:PORT or unix://PATH (default hubble-peer.kube-system.svc.cluster.local:443)",
	"listen-address":         "address for clients (default :4245)",
	"health-listen-address":  "address for probes, by grpc.health.v1 (default :4222)",
	"metrics-listen-address": "address of /metrics; empty: none",
}
