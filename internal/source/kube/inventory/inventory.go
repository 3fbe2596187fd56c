// Package inventory reads from a cluster what policies are about, once, for who asks what policies do without being an agent.
//
// # The world it models
//
// The API server has policies, and what they speak of: pods, namespaces, nodes, services and their endpoints, groups of
// prefixes, and the configuration. Read lists them as a file of manifests would have them.
//
// # Invariants
//
//   - It only lists, page by page: no watches, nothing is changed.
//   - A kind that the cluster does not have (a CRD that is not installed) has no objects; any other refusal is an error that
//     says which kind and why.
//   - Pods that have ended are left out: others may have their addresses.
//
// # Example
//
//	config, err := kube.Connect(kubeconfig, "weft", "")
//	objects, err := inventory.Read(ctx, config)
package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/manifest"
)

// File is what objects of a cluster have for the name of their file.
const File = "cluster"

const pageSize = "500"

// list is a kind, and where its objects are.
type list struct{ path, apiVersion, kind string }

// listOf is where a kind's objects of all namespaces are, or the one that counts.
func listOf(k *kind.Kind) list {
	path := "/apis/" + k.GroupVersion.String()
	if k.Group.Group == "" {
		path = "/api/" + k.Version
	}
	if k.Only.Name != "" {
		return list{path + "/namespaces/" + k.Only.Namespace + "/" + k.Resource + "?fieldSelector=metadata.name=" + k.Only.Name, k.GroupVersion.String(), k.Name}
	}
	return list{path + "/" + k.Resource, k.GroupVersion.String(), k.Name}
}

// Read lists everything.
func Read(ctx context.Context, config *rest.Config) (objects []*manifest.Object, err error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	for k := range kind.ReadBy(kind.Inventory) {
		if objects, err = listOf(k).read(ctx, client, base, objects); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// read appends the objects of a kind.
func (l list) read(ctx context.Context, client *http.Client, base *url.URL, objects []*manifest.Object) ([]*manifest.Object, error) {
	next := ""
	for {
		var page struct {
			Metadata struct{ Continue string }
			Items    []json.RawMessage
		}
		there, err := l.page(ctx, client, base, next, &page)
		if err != nil || !there {
			return objects, err
		}
		for _, text := range page.Items {
			if ended(l.kind, text) {
				continue
			}
			o, err := manifest.Item(File, l.apiVersion, l.kind, text)
			if err != nil {
				return objects, fmt.Errorf("read a %s of the API server: %w", l.kind, err)
			}
			objects = append(objects, o)
		}
		if next = page.Metadata.Continue; next == "" {
			return objects, nil
		}
	}
}

// page reads one page; false: the cluster has no such kind.
func (l list) page(ctx context.Context, client *http.Client, base *url.URL, next string, into any) (bool, error) {
	at, err := base.Parse(l.path)
	if err != nil {
		return false, err
	}
	query := at.Query()
	query.Set("limit", pageSize)
	if next != "" {
		query.Set("continue", next)
	}
	at.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return false, err
	}
	answer, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return false, fmt.Errorf("the API server %s does not answer: %w", base.Host, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return false, fmt.Errorf("read %ss of the API server: %w", l.kind, err)
	case answer.StatusCode == http.StatusOK:
		if err := json.Unmarshal(text, into); err != nil {
			return false, fmt.Errorf("read %ss of the API server: %w", l.kind, err)
		}
		return true, nil
	case answer.StatusCode == http.StatusNotFound:
		return false, nil
	}
	return false, refusal(base.Host, l.kind, answer.Status, text)
}

// refusal says what the API server says, and what would help.
func refusal(host, kind, code string, text []byte) error {
	var status metav1.Status
	if json.Unmarshal(text, &status) == nil && status.Message != "" {
		code = status.Message
	}
	hint := ""
	switch status.Code {
	case http.StatusForbidden:
		hint = "; it takes the right to list " + kind + "s in all namespaces"
	case http.StatusUnauthorized:
		hint = "; log in again: the credentials of the kubeconfig are not valid (any more)"
	case http.StatusGone:
		hint = "; the cluster changed too much while it was read: try again"
	}
	return fmt.Errorf("the API server %s refuses to list %ss: %s%s", host, kind, code, hint)
}

// ended tells whether an object is a pod that will not run again.
func ended(kind string, text []byte) bool {
	var pod struct{ Status struct{ Phase string } }
	return kind == "Pod" && json.Unmarshal(text, &pod) == nil && (pod.Status.Phase == "Succeeded" || pod.Status.Phase == "Failed")
}
