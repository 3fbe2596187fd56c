package program

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheConfigurationOfAClusterIsAccepted(t *testing.T) {
	nested := "server:\n  address: 0.0.0.0:4245\nrelay:\n  address: hubble-relay.kube-system.svc.cluster.local:80\n  tls:\n    enabled: false\n"
	c, err := parseConfig([]byte(nested))
	if err != nil || c.ListenAddress != "0.0.0.0:4245" || c.TLS() || c.AgentPlain || c.Anonymous || c.HubbleCert != "/var/lib/hubble-relay/tls/client.crt" {
		t.Errorf("have %+v, %v", c, err)
	}
	upstream := `cluster-name: north
peer-service: "hubble-peer.kube-system.svc.cluster.local.:443"
listen-address: :4245
gops: true
gops-port: "9893"
retry-timeout: 30s
sort-buffer-len-max: 100
sort-buffer-drain-timeout: 1s
tls-hubble-client-cert-file: /x/client.crt
tls-hubble-client-key-file: /x/client.key
tls-hubble-server-ca-files: /x/ca.crt
tls-relay-server-cert-file: /x/server.crt
tls-relay-server-key-file: /x/server.key
tls-relay-client-ca-files: [/x/a.crt, /x/b.crt]
`
	c, err = parseConfig([]byte(upstream))
	if err != nil || !c.TLS() || c.ClusterName != "north" || !slices.Equal(c.HubbleCAs, []string{"/x/ca.crt"}) || !slices.Equal(c.ServerCAs, []string{"/x/a.crt", "/x/b.crt"}) ||
		c.SortWindow.Duration != time.Second || c.SortMost != 100 || c.RetryTimeout.Duration != 30*time.Second {
		t.Errorf("have %+v, %v", c, err)
	}
	for text, want := range map[string]bool{"": false, "hubble-relay-anonymous: true": true, `hubble-relay-anonymous: "true"`: true, `hubble-relay-anonymous: "false"`: false} {
		if c, err := parseConfig([]byte(text)); err != nil || c.Anonymous != want {
			t.Errorf("%s: have %v, %v", text, c.Anonymous, err)
		}
	}
	for text, want := range map[string]string{
		"servr: {}": "servr", "server: {address: x}": "server.address", "hubble-relay-anonymous: perhaps": "hubble-relay-anonymous", "retry-timeout: -1s": "retry-timeout", "sort-buffer-len-max: -1": "sort-buffer-len-max",
		"tls-relay-client-ca-files: [1]": "tls-relay-client-ca-files", "relay: {tls: {enabled: true}}\ndisable-server-tls: true": "relay.tls.enabled",
	} {
		if _, err := parseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v", text, err)
		}
	}
	if _, err := ReadConfig("/nowhere"); err == nil {
		t.Error("a file that is not there is no error")
	}
}
