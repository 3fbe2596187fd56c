package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/nettest"
)

// prometheus is Debian's, which runs on a node of the cluster and scrapes all.
type prometheus struct {
	command *exec.Cmd
	client  http.Client
	log     string
}

const listen = "127.0.0.1:9090"

// startPrometheus runs it on the first of the nodes.
func startPrometheus(dir string, rules []string, nodes ...*nettest.Node) (*prometheus, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var config strings.Builder
	fmt.Fprintf(&config, "global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}\nrule_files:\n", scrape)
	for _, r := range rules {
		fmt.Fprintf(&config, "- %s\n", r)
	}
	config.WriteString("scrape_configs:\n")
	for job, port := range map[string]int{"cilium-agent": 9962, "hubble-metrics": 9965} {
		fmt.Fprintf(&config, "- job_name: %s\n  static_configs:\n", job)
		for _, n := range nodes {
			address, _ := n.Address(4)
			fmt.Fprintf(&config, "  - {targets: ['%s:%d'], labels: {instance: '%s:%d'}}\n", address, port, n.Name, port)
		}
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config.String()), 0o644); err != nil {
		return nil, err
	}
	p := &prometheus{log: filepath.Join(dir, "log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.command = exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen)
	p.command.Stdout, p.command.Stderr = log, log
	on := nodes[0].Namespace
	if err := on.Start(p.command); err != nil {
		return nil, fmt.Errorf("start prometheus: %w", err)
	}
	p.client.Transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		err = on.Do(func() error {
			c, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return c, err
	}}
	return p, nil
}

func (p *prometheus) stop() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// ask asks the API, and reads its data.
func (p *prometheus) ask(ctx context.Context, path string, values url.Values, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/api/v1/"+path+"?"+values.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var envelope struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(answer.Body).Decode(&envelope); err != nil {
		return fmt.Errorf("read answer of prometheus: %w", err)
	}
	if envelope.Status != "success" {
		return fmt.Errorf("%s: %s", values.Encode(), envelope.Error)
	}
	return json.Unmarshal(envelope.Data, data)
}

// Query implements walk.Prometheus.
func (p *prometheus) Query(ctx context.Context, expression string) (series int, err error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := p.ask(ctx, "query", url.Values{"query": {expression}}, &data); err != nil {
		return 0, err
	}
	for _, r := range data.Result {
		if r.Value[1] != "NaN" {
			series++
		}
	}
	return series, nil
}

// Labels implements walk.Prometheus.
func (p *prometheus) Labels(ctx context.Context, selector, label string) (values []string, err error) {
	return values, p.ask(ctx, "label/"+label+"/values", url.Values{"match[]": {selector}}, &values)
}

// await waits until an alert fires for an instance.
func (p *prometheus) await(ctx context.Context, alert, instance string) error {
	const patience = 2 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	expression := fmt.Sprintf(`ALERTS{alertname=%q,alertstate="firing",instance=%q}`, alert, instance)
	for {
		n, err := p.Query(ctx, expression)
		if n > 0 {
			return nil
		}
		select {
		case <-time.After(scrape / 2):
		case <-ctx.Done():
			log, _ := os.ReadFile(p.log) // for the error's text
			return fmt.Errorf("%s does not fire for %s within %v: %w\n%s", alert, instance, patience, err, log)
		}
	}
}
