package program

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"weftnet.io/weftnet/internal/credential"
)

// Config is the relay's file, config.yaml of a ConfigMap. Both forms are read: the nested one, and the names that upstream's relay has.
type Config struct {
	Server struct {
		Address string `json:"address"` // to listen on
	} `json:"server"`
	Relay struct {
		Address string `json:"address"` // at which clients find it; not used here
		TLS     struct {
			Enabled *bool `json:"enabled"` // to clients; agents are spoken with by TLS in any case
		} `json:"tls"`
	} `json:"relay"`

	ClusterName    string          `json:"cluster-name"`
	ListenAddress  string          `json:"listen-address"` // wins
	HealthAddress  string          `json:"health-listen-address"`
	MetricsAddress string          `json:"metrics-listen-address"`
	PeerService    string          `json:"peer-service"`
	RetryTimeout   metav1.Duration `json:"retry-timeout"`
	SortMost       int             `json:"sort-buffer-len-max"`
	SortWindow     metav1.Duration `json:"sort-buffer-drain-timeout"`

	Anonymous  bool   `json:"-"`          // clients are not asked who they are
	Kubeconfig string `json:"kubeconfig"` // of the API server that knows clients; empty: that of the pod
	APIServers string `json:"k8s-api-server-urls"`

	HubbleCert string   `json:"tls-hubble-client-cert-file"` // shown to agents
	HubbleKey  string   `json:"tls-hubble-client-key-file"`
	HubbleCAs  []string `json:"-"`
	AgentPlain bool     `json:"disable-client-tls"`

	ServerCert  string   `json:"tls-relay-server-cert-file"` // shown to clients
	ServerKey   string   `json:"tls-relay-server-key-file"`
	ServerCAs   []string `json:"-"`
	ServerPlain *bool    `json:"disable-server-tls"`

	RawAnonymous any `json:"hubble-relay-anonymous"`     // true, or as text
	RawHubbleCAs any `json:"tls-hubble-server-ca-files"` // a file, or a list of them
	RawServerCAs any `json:"tls-relay-client-ca-files"`

	// Upstream's, which do nothing here.
	Gops      any `json:"gops"`
	GopsPort  any `json:"gops-port"`
	Pprof     any `json:"pprof"`
	PprofAt   any `json:"pprof-address"`
	PprofPort any `json:"pprof-port"`
	Mutex     any `json:"pprof-mutex-profile-fraction"`
	Block     any `json:"pprof-block-profile-rate"`
	LogFormat any `json:"log-format"`
	LogLevel  any `json:"log-level"`
}

// Where Secrets are mounted.
const files = "/var/lib/hubble-relay/tls/"

// ReadConfig reads a file; empty: none.
func ReadConfig(file string) (Config, error) {
	if file == "" {
		return parseConfig(nil)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("read the relay's configuration: %w", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("read the relay's configuration %s: %w", file, err)
	}
	return c, nil
}

func parseConfig(text []byte) (c Config, err error) {
	if err := yaml.UnmarshalStrict(text, &c); err != nil {
		return Config{}, err
	}
	if c.HubbleCAs, err = list("tls-hubble-server-ca-files", c.RawHubbleCAs); err != nil {
		return Config{}, err
	}
	if c.ServerCAs, err = list("tls-relay-client-ca-files", c.RawServerCAs); err != nil {
		return Config{}, err
	}
	c.ListenAddress = cmp.Or(c.ListenAddress, c.Server.Address, ":4245")
	c.HealthAddress = cmp.Or(c.HealthAddress, ":4222")
	c.ClusterName = cmp.Or(c.ClusterName, "default")
	c.PeerService = cmp.Or(c.PeerService, "hubble-peer.kube-system.svc.cluster.local:443")
	c.HubbleCert, c.HubbleKey = cmp.Or(c.HubbleCert, files+"client.crt"), cmp.Or(c.HubbleKey, files+"client.key")
	if len(c.HubbleCAs) == 0 {
		c.HubbleCAs = []string{files + "hubble-server-ca.crt"}
	}
	for _, f := range []struct{ name, address string }{{"server.address", c.ListenAddress}, {"health-listen-address", c.HealthAddress}, {"metrics-listen-address", c.MetricsAddress}} {
		if _, _, err := net.SplitHostPort(f.address); err != nil && f.address != "" {
			return Config{}, fmt.Errorf("%s: %q is not an address to listen on, such as :4245", f.name, f.address)
		}
	}
	for name, d := range map[string]time.Duration{"retry-timeout": c.RetryTimeout.Duration, "sort-buffer-drain-timeout": c.SortWindow.Duration} {
		if d < 0 {
			return Config{}, fmt.Errorf("%s: %s is less than nothing", name, d)
		}
	}
	if c.RawAnonymous != nil {
		if c.Anonymous, err = strconv.ParseBool(fmt.Sprint(c.RawAnonymous)); err != nil {
			return Config{}, fmt.Errorf("hubble-relay-anonymous: %v is neither true nor false", c.RawAnonymous)
		}
	}
	if c.SortMost < 0 {
		return Config{}, fmt.Errorf("sort-buffer-len-max: %d is less than nothing", c.SortMost)
	}
	if c.TLS() && (c.ServerCert == "" || c.ServerKey == "") {
		c.ServerCert, c.ServerKey = cmp.Or(c.ServerCert, files+"server.crt"), cmp.Or(c.ServerKey, files+"server.key")
	}
	if on := c.Relay.TLS.Enabled; on != nil && c.ServerPlain != nil && *on == *c.ServerPlain {
		return Config{}, errors.New("relay.tls.enabled and disable-server-tls contradict each other: say one of them")
	}
	return c, nil
}

// list reads a file, or a list of files.
func list(name string, value any) (all []string, err error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		for _, one := range v {
			s, ok := one.(string)
			if !ok {
				return nil, fmt.Errorf("%s: %v is not the name of a file", name, one)
			}
			all = append(all, s)
		}
		return all, nil
	}
	return nil, fmt.Errorf("%s: %v is neither a file nor a list of files", name, value)
}

// TLS tells whether clients are spoken with by TLS.
func (c Config) TLS() bool {
	switch {
	case c.Relay.TLS.Enabled != nil:
		return *c.Relay.TLS.Enabled
	case c.ServerPlain != nil:
		return !*c.ServerPlain
	}
	return c.ServerCert != ""
}

// toAgents is what agents are shown.
func (c Config) toAgents() credential.Files {
	return credential.Files{
		Of:          "agents (tls-hubble-client-cert-file, tls-hubble-client-key-file, tls-hubble-server-ca-files)",
		Certificate: c.HubbleCert, Key: c.HubbleKey, Authorities: c.HubbleCAs,
	}
}

// toClients is what clients are shown.
func (c Config) toClients() credential.Files {
	return credential.Files{
		Of:          "clients (tls-relay-server-cert-file, tls-relay-server-key-file, tls-relay-client-ca-files)",
		Certificate: c.ServerCert, Key: c.ServerKey, Authorities: c.ServerCAs,
	}
}
