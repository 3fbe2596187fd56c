// Package chart renders the project's Helm chart with Helm's own engine, without Tiller, releases or a helm binary.
//
// The lab does not install a chart, it applies what the chart says: first crds/, which Helm does not template, then the rendered
// objects in Helm's install order. Values come from the chart, then the lab (images, addresses), then the user's --set.
package chart

import (
	"fmt"
	"maps"
	"strings"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/strvals"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"weftnet.io/weftnet/lab/internal/kube"
)

// Namespace and Release are those of the rendered objects.
const (
	Namespace = "kube-system"
	Release   = "weftnet"
)

// Values is a tree of chart values.
type Values = map[string]any

// Set parses assignments as `helm --set` takes them ("ipam.mode=kubernetes", "a=1,b=2", "list={x,y}") into values.
func Set(into Values, assignments []string) error {
	for _, a := range assignments {
		if err := strvals.ParseInto(a, into); err != nil {
			return fmt.Errorf("--set %s: %w", a, err)
		}
	}
	return nil
}

// Render returns the objects of the chart in dir, in the order in which to apply them.
func Render(dir, kubeVersion string, values Values) ([]*unstructured.Unstructured, error) {
	c, err := loader.Load(dir)
	if err != nil {
		return nil, fmt.Errorf("load chart %s: %w", dir, err)
	}
	objects, err := crds(c)
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", dir, err)
	}
	caps := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(kubeVersion)
	if err != nil {
		return nil, fmt.Errorf("parse Kubernetes version %q: %w", kubeVersion, err)
	}
	caps.KubeVersion = *version
	options := chartutil.ReleaseOptions{Name: Release, Namespace: Namespace, Revision: 1, IsInstall: true}
	rendered, err := chartutil.ToRenderValues(c, values, options, caps)
	if err != nil {
		return nil, fmt.Errorf("values of chart %s: %w", dir, err)
	}
	files, err := engine.Render(c, rendered)
	if err != nil {
		return nil, fmt.Errorf("render chart %s: %w", dir, err)
	}
	maps.DeleteFunc(files, func(name, text string) bool {
		return strings.HasSuffix(name, "NOTES.txt") || strings.TrimSpace(text) == ""
	})
	_, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, fmt.Errorf("render chart %s: %w", dir, err)
	}
	for _, m := range manifests {
		decoded, err := kube.Decode([]byte(m.Content))
		if err != nil {
			return nil, fmt.Errorf("render chart %s: %s: %w", dir, m.Name, err)
		}
		objects = append(objects, decoded...)
	}
	return objects, nil
}

func crds(c *helm.Chart) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for _, crd := range c.CRDObjects() {
		decoded, err := kube.Decode(crd.File.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", crd.Filename, err)
		}
		out = append(out, decoded...)
	}
	return out, nil
}
