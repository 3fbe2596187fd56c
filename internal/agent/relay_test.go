package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
)

func TestStatusSaysHowTheRelayServesClients(t *testing.T) {
	if _, known := relay(filepath.Join(t.TempDir(), "none"), true); known {
		t.Error("without a relay there is something to say")
	}
	for text, want := range map[string]string{
		"server: {address: 0.0.0.0:4245}\nrelay: {address: x, tls: {enabled: false}}": "plain text",
		"server: {address: 0.0.0.0:4245}":                                             "plain text",
		"relay: {tls: {enabled: true}}\nhubble-relay-anonymous: \"true\"":             "any client",
		"tls-relay-server-cert-file: /x\ndisable-server-tls: true":                    "plain text",
		"tls-relay-server-cert-file: /x\nserver: {address: 0.0.0.0:4245}":             "by TLS at 0.0.0.0:4245",
		"relay: {tls: {enabled: true}}\nlisten-address: :5":                           "by TLS at :5",
		"x": "cannot be read",
	} {
		file := filepath.Join(t.TempDir(), "relay.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if open, _ := relay(file, true); open.Health == agentv1.HealthOK || want != "cannot be read" && !strings.Contains(open.Message, "any client") {
			t.Errorf("%s: have %+v", text, open)
		}
		c, known := relay(file, false)
		if !known || !strings.Contains(c.Message, want) || (c.Health == agentv1.HealthOK) != strings.Contains(want, "by TLS") {
			t.Errorf("%s: have %+v", text, c)
		}
	}
}
