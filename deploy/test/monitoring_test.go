package test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/yaml"
)

// monitored renders objects of kinds that Kubernetes itself does not know, by "Kind/name".
func monitored(t *testing.T, values string) map[string]map[string]any {
	t.Helper()
	set := map[string]any{}
	if err := yaml.Unmarshal([]byte(values), &set); err != nil {
		t.Fatal(err)
	}
	c := loadChart(t)
	merged, err := chartutil.ToRenderValues(c, set, chartutil.ReleaseOptions{Name: "weftnet", Namespace: "kube-system"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(c, merged)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for _, doc := range regexp.MustCompile(`(?m)^---$`).Split(files["weftnet/templates/monitoring.yaml"], -1) {
		o := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(doc), &o); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if len(o) > 0 {
			out[o["kind"].(string)+"/"+o["metadata"].(map[string]any)["name"].(string)] = o
		}
	}
	return out
}

func TestMonitoringIsThereOnRequest(t *testing.T) {
	for key := range monitored(t, "") {
		if !strings.HasPrefix(key, "Service/") {
			t.Errorf("%s is there without being asked for", key)
		}
	}
	all := monitored(t, `
config: {hubble-metrics: drop tcp, hubble-metrics-server: ":9091"}
monitoring:
  labels: {release: prometheus}
  serviceMonitor: {enabled: true}
  rules: {enabled: true}
  dashboards: {enabled: true}
`)
	for _, name := range []string{"cilium-agent", "cilium-operator", "hubble-metrics"} {
		service, monitor := all["Service/"+name], all["ServiceMonitor/"+name]
		if service == nil || monitor == nil {
			t.Fatalf("no Service or ServiceMonitor %s", name)
		}
		labels := service["metadata"].(map[string]any)["labels"].(map[string]any)
		for key, value := range monitor["spec"].(map[string]any)["selector"].(map[string]any)["matchLabels"].(map[string]any) {
			if labels[key] != value {
				t.Errorf("ServiceMonitor %s asks for %s=%v, and the Service has %v", name, key, value, labels[key])
			}
		}
		endpoint := monitor["spec"].(map[string]any)["endpoints"].([]any)[0].(map[string]any)
		port := service["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any)
		if endpoint["port"] != port["name"] {
			t.Errorf("ServiceMonitor %s scrapes port %v, and the Service has %v", name, endpoint["port"], port["name"])
		}
		if monitor["metadata"].(map[string]any)["labels"].(map[string]any)["release"] != "prometheus" {
			t.Errorf("ServiceMonitor %s has not the labels that were given", name)
		}
		if name == "hubble-metrics" && port["port"] != 9091.0 {
			t.Errorf("metrics of flows are at port %v", port["port"])
		}
	}
	text, err := os.ReadFile(chartDir + "/monitoring/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]any{}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	if have := all["PrometheusRule/weftnet"]["spec"]; !reflect.DeepEqual(have, any(rules)) {
		t.Errorf("the rules are not those of the file:\n%v", have)
	}
	files, err := os.ReadDir(chartDir + "/monitoring/dashboards")
	if err != nil {
		t.Fatal(err)
	}
	data := all["ConfigMap/weftnet-dashboards"]["data"].(map[string]any)
	for _, f := range files {
		if want, err := os.ReadFile(chartDir + "/monitoring/dashboards/" + f.Name()); err != nil || data[f.Name()] != string(want) {
			t.Errorf("%s is not as the file has it (%v)", f.Name(), err)
		}
	}
}

func TestAgentsHaveThePortOfMetricsOfFlows(t *testing.T) {
	ports := func(values string) (out []string) {
		for _, p := range agentContainer(t, mustRender(t, values)).Ports {
			out = append(out, p.Name)
		}
		return out
	}
	for values, want := range map[string][]string{
		"":                               {"prometheus"},
		"config: {hubble-metrics: drop}": {"prometheus", "hubble-metrics"},
		"{metricsAddress: 127.0.0.1, config: {hubble-metrics: drop}}": {"hubble-metrics"},
		"metricsAddress: 127.0.0.1":                                   nil,
	} {
		if have := ports(values); !slices.Equal(have, want) {
			t.Errorf("%s: %v, want %v", values, have, want)
		}
	}
}
