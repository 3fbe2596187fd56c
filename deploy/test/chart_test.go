package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const chartDir = "../chart"

// manifests is where the project's sample YAML lies.
const manifests = "../../test/manifest"

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatalf("load chart: %v", err)
	}
	return c
}

// render returns the objects by "Kind/name", decoded strictly: an unknown or
// repeated field in a template is an error.
func render(t *testing.T, values string) (map[string]runtime.Object, error) {
	t.Helper()
	set := map[string]any{}
	if err := yaml.Unmarshal([]byte(values), &set); err != nil {
		t.Fatalf("parse values: %v", err)
	}
	c := loadChart(t)
	release := chartutil.ReleaseOptions{Name: "weftnet", Namespace: "kube-system", IsInstall: true}
	if ns, ok := set["test-namespace"].(string); ok {
		release.Namespace = ns
		delete(set, "test-namespace")
	}
	merged, err := chartutil.ToRenderValues(c, set, release, &chartutil.Capabilities{
		KubeVersion: chartutil.KubeVersion{Version: "v1.36.0", Major: "1", Minor: "36"},
	})
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, merged)
	if err != nil {
		return nil, err
	}
	decoder := serializer.NewCodecFactory(clientscheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	objects := map[string]runtime.Object{}
	for name, text := range files {
		for _, doc := range regexp.MustCompile(`(?m)^---$`).Split(text, -1) {
			if strings.TrimSpace(doc) == "" || strings.HasSuffix(name, ".tpl") {
				continue
			}
			obj, kind, err := decoder.Decode([]byte(doc), nil, nil)
			if err != nil {
				t.Fatalf("decode %s: %v\n%s", name, err, doc)
			}
			accessor := obj.(interface{ GetName() string })
			key := kind.Kind + "/" + accessor.GetName()
			if _, twice := objects[key]; twice {
				t.Errorf("%s rendered twice", key)
			}
			objects[key] = obj
		}
	}
	return objects, nil
}

func mustRender(t *testing.T, values string) map[string]runtime.Object {
	t.Helper()
	objects, err := render(t, values)
	if err != nil {
		t.Fatalf("render: %v", err)
	}
	return objects
}

func find[T runtime.Object](t *testing.T, objects map[string]runtime.Object, key string) T {
	t.Helper()
	obj, ok := objects[key].(T)
	if !ok {
		t.Fatalf("no %s in the rendered chart", key)
	}
	return obj
}

func agentContainer(t *testing.T, objects map[string]runtime.Object) corev1.Container {
	t.Helper()
	pod := find[*appsv1.DaemonSet](t, objects, "DaemonSet/cilium").Spec.Template.Spec
	if len(pod.Containers) != 1 || pod.Containers[0].Name != "cilium-agent" {
		t.Fatalf("containers = %v, want cilium-agent alone", pod.Containers)
	}
	return pod.Containers[0]
}

func TestAgentHasTheNamesThatToolsLookFor(t *testing.T) {
	objects := mustRender(t, "")
	ds := find[*appsv1.DaemonSet](t, objects, "DaemonSet/cilium")
	if ds.Namespace != "kube-system" || ds.Spec.Template.Labels["k8s-app"] != "cilium" {
		t.Errorf("namespace %q, labels %v", ds.Namespace, ds.Spec.Template.Labels)
	}
	agentContainer(t, objects)
	op := find[*appsv1.Deployment](t, objects, "Deployment/cilium-operator")
	if op.Spec.Template.Labels["io.cilium/app"] != "operator" || op.Spec.Template.Labels["name"] != "cilium-operator" {
		t.Errorf("operator labels %v", op.Spec.Template.Labels)
	}
}

func TestAgentIsNotPrivilegedAndAsksForFewCapabilities(t *testing.T) {
	objects := mustRender(t, "")
	agent := agentContainer(t, objects)
	sc := agent.SecurityContext
	if sc.Privileged != nil && *sc.Privileged {
		t.Error("the agent is privileged")
	}
	// The script runs an agent with these capabilities alone.
	script, err := os.ReadFile("../../test/script/net/isolation/an_agent_needs_two_capabilities_and_no_more.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var want []corev1.Capability
	if m := regexp.MustCompile(`(?m)^confine a (.*)$`).FindSubmatch(script); m != nil {
		for _, name := range strings.Fields(string(m[1])) {
			want = append(want, corev1.Capability(name))
		}
	}
	if !slices.Equal(sc.Capabilities.Add, want) {
		t.Errorf("capabilities %v, and the script has tried %v", sc.Capabilities.Add, want)
	}
	pods := []corev1.PodSpec{
		find[*appsv1.DaemonSet](t, objects, "DaemonSet/cilium").Spec.Template.Spec,
		find[*appsv1.Deployment](t, objects, "Deployment/cilium-operator").Spec.Template.Spec,
	}
	pods = append(pods, find[*appsv1.DaemonSet](t, mustRender(t, "{uninstall: true}"), "DaemonSet/cilium-uninstall").Spec.Template.Spec)
	for _, pod := range pods {
		if p := pod.SecurityContext.SeccompProfile; p == nil || p.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("seccomp profile %v, want that of the runtime", p)
		}
		if !pod.HostNetwork {
			t.Error("a pod that makes the network is not on the host network")
		}
		if !slices.Equal(pod.Tolerations, []corev1.Toleration{{Operator: corev1.TolerationOpExists}}) {
			t.Errorf("tolerations %v, want everything", pod.Tolerations)
		}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			if !slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) {
				t.Errorf("container %s does not drop all capabilities", c.Name)
			}
			if e := c.SecurityContext.AllowPrivilegeEscalation; e == nil || *e {
				t.Errorf("container %s may gain privileges", c.Name)
			}
		}
	}
}

func TestMetricsAreServedAtTheAddressAndToTheClientsThatValuesName(t *testing.T) {
	open := agentContainer(t, mustRender(t, ""))
	if !slices.Contains(open.Command, "--metrics-listen=:9962") || len(open.Ports) != 1 {
		t.Errorf("by default: %v, %v", open.Command, open.Ports)
	}
	local := agentContainer(t, mustRender(t, "{metricsAddress: 127.0.0.1}"))
	if !slices.Contains(local.Command, "--metrics-listen=127.0.0.1:9962") || len(local.Ports) != 0 {
		t.Errorf("on localhost: %v, %v", local.Command, local.Ports)
	}
	for client, want := range map[string]bool{"": false, "ca.crt": true} {
		objects := mustRender(t, "{metricsSecret: weft-metrics, metricsClientCA: '"+client+"'}")
		command := strings.Join(agentContainer(t, objects).Command, " ")
		if !strings.Contains(command, "--prometheus-enable-tls=true") || strings.Contains(command, "/etc/weft/metrics/ca.crt") != want {
			t.Errorf("by TLS: %s", command)
		}
		volumes := find[*appsv1.DaemonSet](t, objects, "DaemonSet/cilium").Spec.Template.Spec.Volumes
		if !slices.ContainsFunc(volumes, func(v corev1.Volume) bool {
			return v.Secret != nil && v.Secret.SecretName == "weft-metrics" && *v.Secret.Optional && *v.Secret.DefaultMode == 0o400
		}) {
			t.Error("the Secret is not mounted")
		}
	}
}

func TestTheAgentSeesTheControlGroupsOfItsNodeToReadOnly(t *testing.T) {
	for values, want := range map[string]string{"": "/host/sys/fs/cgroup", "{cgroupRoot: /run/cilium/cgroupv2}": "/host/run/cilium/cgroupv2", "{cgroupRoot: ''}": ""} {
		at := ""
		for _, m := range agentContainer(t, mustRender(t, values)).VolumeMounts {
			if m.Name != "cgroup" {
				continue
			}
			if at = m.MountPath; !m.ReadOnly {
				t.Errorf("%s: it may write to %s", values, at)
			}
		}
		if at != want {
			t.Errorf("%s: it sees them at %q, want %q", values, at, want)
		}
	}
}

func TestAgentsAndOperatorKnowAllAPIServers(t *testing.T) {
	const flag = "--k8s-api-server-urls=https://192.0.2.10:6443 https://192.0.2.11:6443"
	for values, want := range map[string]bool{"": false, "{k8s: {apiServerURLs: 'https://192.0.2.10:6443 https://192.0.2.11:6443'}}": true} {
		objects := mustRender(t, values)
		operator := find[*appsv1.Deployment](t, objects, "Deployment/cilium-operator").Spec.Template.Spec.Containers[0]
		for name, has := range map[string][]string{"agent": agentContainer(t, objects).Command, "operator": operator.Args} {
			if slices.Contains(has, flag) != want {
				t.Errorf("%s of %s: %q", name, values, has)
			}
		}
	}
}

func TestEveryMountHasAVolumeAndEveryVolumeAMount(t *testing.T) {
	pod := find[*appsv1.DaemonSet](t, mustRender(t, ""), "DaemonSet/cilium").Spec.Template.Spec
	used := map[string]bool{}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		for _, m := range c.VolumeMounts {
			used[m.Name] = true
		}
	}
	for _, v := range pod.Volumes {
		if !used[v.Name] {
			t.Errorf("volume %s is mounted nowhere", v.Name)
		}
		delete(used, v.Name)
	}
	for name := range used {
		t.Errorf("mount of %s has no volume", name)
	}
}

func TestProbesAskTheLoopbackAddressOnly(t *testing.T) {
	objects := mustRender(t, "{healthPort: 19879, operator: {healthPort: 19234}}")
	check := func(c corev1.Container, port int32) {
		for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if p == nil || p.HTTPGet.Host != "127.0.0.1" || p.HTTPGet.Port.IntVal != port || (p.HTTPGet.Path != "/healthz" && p.HTTPGet.Path != "/readyz") {
				t.Errorf("%s: probe %v, want 127.0.0.1:%d/healthz", c.Name, p, port)
			}
		}
	}
	check(agentContainer(t, objects), 19879)
	check(find[*appsv1.Deployment](t, objects, "Deployment/cilium-operator").Spec.Template.Spec.Containers[0], 19234)
}

func TestDefaultsFitTheResourceEnvelopeAndFlagsPassThrough(t *testing.T) {
	flags := []string{"--enable-bandwidth-manager=true", "--kube-proxy-replacement=strict"}
	args, err := yaml.Marshal(map[string]any{"extraArgs": flags})
	if err != nil {
		t.Fatal(err)
	}
	agent := agentContainer(t, mustRender(t, string(args)))
	if !slices.Equal(agent.Args, flags) {
		t.Errorf("args %v, want %v", agent.Args, flags)
	}
	for _, c := range []struct {
		what string
		got  corev1.ResourceList
		want corev1.ResourceList
	}{
		{"request", agent.Resources.Requests, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")}},
		{"limit", agent.Resources.Limits, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("512Mi")}},
	} {
		for name, want := range c.want {
			if got := c.got[name]; got.Cmp(want) != 0 {
				t.Errorf("%s of %s is %v, want %v", c.what, name, &got, &want)
			}
		}
	}
}

func TestConfigPassesThroughAsStringsAndNullLeavesAKeyOut(t *testing.T) {
	objects := mustRender(t, `
config:
  enable-ipv6: false
  tunnel-port: 1234567
  cluster-name: null
  hubble-metrics: |
    dns:query;ignoreAAAA
    drop
  some-unknown-key: "yes"
`)
	data := find[*corev1.ConfigMap](t, objects, "ConfigMap/cilium-config").Data
	for key, want := range map[string]string{
		"enable-ipv6": "false", "tunnel-port": "1234567", "hubble-metrics": "dns:query;ignoreAAAA\ndrop\n",
		"some-unknown-key": "yes", "ipam": "cluster-pool", "cluster-id": "0",
	} {
		if got, ok := data[key]; !ok || got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"cluster-name", "ipv4-native-routing-cidr"} {
		if got, ok := data[key]; ok {
			t.Errorf("%s = %q, want it left out", key, got)
		}
	}
}

func TestSampleConfigMapPassesThroughWhole(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(manifests, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var want corev1.ConfigMap
	if err := yaml.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	values, err := yaml.Marshal(map[string]any{"config": want.Data})
	if err != nil {
		t.Fatal(err)
	}
	got := find[*corev1.ConfigMap](t, mustRender(t, string(values)), "ConfigMap/cilium-config").Data
	for key, value := range want.Data {
		if got[key] != value {
			t.Errorf("%s = %q, want %q", key, got[key], value)
		}
	}
}

func TestAChangedConfigurationRollsAgentsAndOperator(t *testing.T) {
	digests := func(values string) [2]string {
		objects := mustRender(t, values)
		return [2]string{
			find[*appsv1.DaemonSet](t, objects, "DaemonSet/cilium").Spec.Template.Annotations["weftnet.io/config-digest"],
			find[*appsv1.Deployment](t, objects, "Deployment/cilium-operator").Spec.Template.Annotations["weftnet.io/config-digest"],
		}
	}
	before, after := digests(""), digests("{config: {routing-mode: native}}")
	if before[0] == "" || before[0] == after[0] || before[1] == after[1] {
		t.Errorf("digests %v and %v, want them set and different", before, after)
	}
}

func TestAnExistingConfigMapIsLeftAlone(t *testing.T) {
	objects := mustRender(t, "existingConfigMap: true")
	if _, ok := objects["ConfigMap/cilium-config"]; ok {
		t.Error("cilium-config is rendered over the user's own")
	}
}

func TestRolesGrantNoSecretsNoWildcardsAndNoForeignCRDs(t *testing.T) {
	objects := mustRender(t, "")
	for key, obj := range objects {
		var rules []rbacv1.PolicyRule
		switch role := obj.(type) {
		case *rbacv1.ClusterRole:
			rules = role.Rules
		case *rbacv1.Role:
			rules = role.Rules
		}
		for _, rule := range rules {
			all := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs)
			if slices.Contains(all, "*") || slices.Contains(rule.Resources, "secrets") {
				t.Errorf("%s grants %v", key, rule)
			}
			crds := slices.Contains(rule.Resources, "customresourcedefinitions")
			if crds && !slices.Equal(rule.Verbs, []string{"create"}) && len(rule.ResourceNames) != len(crdFiles(t)) {
				t.Errorf("%s may change CRDs %v, want the %d of the chart", key, rule.ResourceNames, len(crdFiles(t)))
			}
		}
	}
	if _, ok := objects["ClusterRole/cilium"]; !ok {
		t.Error("no ClusterRole/cilium")
	}
}

func TestTheWebhookAsksForOneSecretAndOneConfiguration(t *testing.T) {
	off := mustRender(t, "")
	for _, key := range []string{"ValidatingWebhookConfiguration/weft-policies", "Service/weft-webhook", "Role/cilium-operator-webhook"} {
		if _, ok := off[key]; ok {
			t.Errorf("%s is there though no value asks for it", key)
		}
	}
	on := mustRender(t, "{webhook: {enabled: true, failurePolicy: Fail, port: 19444, namespaceSelector: {matchLabels: {checked: ok}}}, operator: {extraArgs: [--debug]}}")
	for _, c := range find[*admissionregistrationv1.ValidatingWebhookConfiguration](t, on, "ValidatingWebhookConfiguration/weft-policies").Webhooks {
		if *c.FailurePolicy != admissionregistrationv1.Fail || c.NamespaceSelector.MatchLabels["checked"] != "ok" || *c.ClientConfig.Service.Path != "/validate" {
			t.Errorf("%+v", c)
		}
	}
	if args := find[*appsv1.Deployment](t, on, "Deployment/cilium-operator").Spec.Template.Spec.Containers[0].Args; !slices.Equal(args, []string{"--webhook-serve-addr=:19444", "--debug"}) {
		t.Errorf("args %v", args)
	}
	if s := find[*corev1.Service](t, on, "Service/weft-webhook"); s.Spec.Ports[0].TargetPort.IntVal != 19444 {
		t.Errorf("%+v", s.Spec)
	}
	for _, rule := range slices.Concat(find[*rbacv1.Role](t, on, "Role/cilium-operator-webhook").Rules, find[*rbacv1.ClusterRole](t, on, "ClusterRole/cilium-operator-webhook").Rules) {
		if !slices.Equal(rule.Verbs, []string{"create"}) && len(rule.ResourceNames) != 1 {
			t.Errorf("more than one object: %v", rule)
		}
	}
}

func TestTheRelayComesWithAllThatItNeedsAndNoMore(t *testing.T) {
	off := mustRender(t, "")
	for _, key := range []string{"Deployment/hubble-relay", "Service/hubble-relay", "Service/hubble-peer", "ConfigMap/hubble-config", "Role/cilium-operator-hubble"} {
		if _, ok := off[key]; ok {
			t.Errorf("%s is there though no value asks for it", key)
		}
	}
	if c := agentContainer(t, off); strings.Contains(strings.Join(c.Command, " "), "hubble") {
		t.Errorf("the agent has %v", c.Command)
	}
	on := mustRender(t, "{hubble: {relay: {enabled: true}}}")
	pod := find[*appsv1.Deployment](t, on, "Deployment/hubble-relay").Spec.Template
	if s := find[*corev1.Service](t, on, "Service/hubble-relay"); s.Spec.Ports[0].Port != 80 || s.Spec.Ports[0].TargetPort.IntVal != 4245 || s.Spec.Selector["k8s-app"] != pod.Labels["k8s-app"] {
		t.Errorf("%+v", s.Spec)
	}
	if s := find[*corev1.Service](t, on, "Service/hubble-peer"); s.Spec.Ports[0].Port != 443 || s.Spec.Ports[0].TargetPort.IntVal != 4244 {
		t.Errorf("%+v", s.Spec)
	}
	if pod.Spec.HostNetwork {
		t.Errorf("%+v", pod.Spec)
	}
	// It asks who its clients are, and reads nothing.
	for _, rule := range find[*rbacv1.ClusterRole](t, on, "ClusterRole/hubble-relay").Rules {
		if !slices.Equal(rule.Verbs, []string{"create"}) || !slices.Equal(rule.Resources, []string{"tokenreviews"}) && !slices.Equal(rule.Resources, []string{"subjectaccessreviews"}) {
			t.Errorf("the relay may %v", rule)
		}
	}
	if r := find[*rbacv1.ClusterRole](t, on, "ClusterRole/weftnet-flow-reader").Rules; len(r) != 1 || r[0].APIGroups[0] != "weftnet.io" || r[0].Resources[0] != "flows" || !slices.Equal(r[0].Verbs, []string{"get"}) {
		t.Errorf("readers of flows may %v", r)
	}
	asked := "--hubble-relay-anonymous=true"
	if slices.Contains(pod.Spec.Containers[0].Command, asked) {
		t.Errorf("any client is served: %v", pod.Spec.Containers[0].Command)
	}
	anonymous := find[*appsv1.Deployment](t, mustRender(t, "{hubble: {relay: {enabled: true, anonymous: true}}}"), "Deployment/hubble-relay")
	if c := anonymous.Spec.Template.Spec.Containers[0].Command; !slices.Contains(c, asked) {
		t.Errorf("it has %v", c)
	}
	c := agentContainer(t, on)
	for _, flag := range []string{"--hubble-listen-address=:4244", "--hubble-tls-client-ca-files=/var/lib/cilium/tls/hubble/client-ca.crt"} {
		if !slices.Contains(c.Command, flag) {
			t.Errorf("the agent has %v, not %s", c.Command, flag)
		}
	}
	if args := find[*appsv1.Deployment](t, on, "Deployment/cilium-operator").Spec.Template.Spec.Containers[0].Args; !slices.Equal(args, []string{"--hubble-certificates"}) {
		t.Errorf("args %v", args)
	}
	for _, rule := range find[*rbacv1.Role](t, on, "Role/cilium-operator-hubble").Rules {
		if !slices.Equal(rule.Verbs, []string{"create"}) && len(rule.ResourceNames) != 3 {
			t.Errorf("more than the three Secrets: %v", rule)
		}
	}
	own := mustRender(t, "{hubble: {tls: {auto: false}, relay: {enabled: true, existingConfig: true}}, config: {hubble-listen-address: ':5244'}}")
	if _, ok := own["Role/cilium-operator-hubble"]; ok || own["ConfigMap/hubble-config"] != nil {
		t.Error("what is said to exist is made")
	}
	if c := agentContainer(t, own); strings.Contains(strings.Join(c.Command, " "), "hubble-listen-address") || find[*corev1.Service](t, own, "Service/hubble-peer").Spec.Ports[0].TargetPort.IntVal != 5244 {
		t.Errorf("a key of the configuration is overruled: %v", c.Command)
	}
}

func TestAMistakeInValuesIsNamed(t *testing.T) {
	for values, want := range map[string]string{
		"operater: {replicas: 2}":          "operater",
		"config: {routing-mode: tunel}":    "routing-mode",
		"extraArgs: [enable-foo=true]":     "extraArgs",
		"capabilities: [ALL]":              "capabilities",
		"capabilities: [CAP_SYS_ADMIN]":    "capabilities",
		"metricsAddress: localhost":        "metricsAddress",
		"test-namespace: default":          "--namespace kube-system",
		"cni: {binPath: opt}":              "binPath",
		"config: {cluster-name: [a, b]}":   "cluster-name",
		"operator: {healthPort: 92340000}": "healthPort",
		"webhook: {failurePolicy: Never}":  "failurePolicy",
	} {
		_, err := render(t, values)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("values %q: error %v, want one that names %q", values, err, want)
		}
	}
}

func TestREADMENamesEveryValueAndConfigurationKey(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(chartDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	c := loadChart(t)
	var names []string
	for key, value := range c.Values {
		nested, ok := value.(map[string]any)
		switch {
		case ok && (key == "operator" || key == "cni" || key == "webhook" || key == "k8s" || key == "hubble" || key == "monitoring"):
			for sub := range nested {
				names = append(names, key+"."+sub)
			}
		case ok && key == "config":
			for sub := range nested {
				names = append(names, sub)
			}
		default:
			names = append(names, key)
		}
	}
	if len(names) < 30 {
		t.Fatalf("only %d values found", len(names))
	}
	for _, name := range names {
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("README.md does not name %s", name)
		}
	}
}

func TestUninstallingReplacesTheAgentsByPodsThatClearTheirNode(t *testing.T) {
	objects := mustRender(t, "{uninstall: true}")
	if _, there := objects["DaemonSet/cilium"]; there {
		t.Error("an agent would put back what is taken away")
	}
	pod := find[*appsv1.DaemonSet](t, objects, "DaemonSet/cilium-uninstall").Spec.Template.Spec
	c := pod.Containers[0]
	if !pod.HostNetwork || !slices.Contains(c.Command, "--with-pods") || !slices.Contains(c.Command, "--stay") {
		t.Errorf("host network %v, command %v", pod.HostNetwork, c.Command)
	}
	mounted := map[string]bool{}
	for _, m := range c.VolumeMounts {
		mounted[m.MountPath] = !m.ReadOnly
	}
	for _, arg := range c.Command {
		_, path, ok := strings.Cut(arg, "=")
		for dir := path; ok && !mounted[dir]; dir = filepath.Dir(dir) {
			if dir == "/" {
				t.Errorf("%s is on no volume that may be written", arg)
				break
			}
		}
	}
	if _, there := mustRender(t, "")["DaemonSet/cilium-uninstall"]; there {
		t.Error("nodes are cleared without having been asked to")
	}
}
