package check_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

const chartDir = deploy + "/helm/runnel"

// kinds are the types of the manifests that the chart may have.
var kinds = map[string]func() meta.Object{
	"v1/ConfigMap":                           func() meta.Object { return new(core.ConfigMap) },
	"v1/Pod":                                 func() meta.Object { return new(core.Pod) },
	"v1/Secret":                              func() meta.Object { return new(core.Secret) },
	"v1/Service":                             func() meta.Object { return new(core.Service) },
	"v1/ServiceAccount":                      func() meta.Object { return new(core.ServiceAccount) },
	"apps/v1/Deployment":                     func() meta.Object { return new(apps.Deployment) },
	"apps/v1/StatefulSet":                    func() meta.Object { return new(apps.StatefulSet) },
	"autoscaling/v2/HorizontalPodAutoscaler": func() meta.Object { return new(autoscaling.HorizontalPodAutoscaler) },
	"networking.k8s.io/v1/Ingress":           func() meta.Object { return new(networking.Ingress) },
	"networking.k8s.io/v1/NetworkPolicy":     func() meta.Object { return new(networking.NetworkPolicy) },
	"policy/v1/PodDisruptionBudget":          func() meta.Object { return new(policy.PodDisruptionBudget) },
	"monitoring.coreos.com/v1/PodMonitor":    func() meta.Object { return new(monitoring.PodMonitor) },
}

const cluster = `
mode: cluster
insecure: true
nats: {urls: ["nats://nats-0.nats:4222", "tls://nats-1.nats:4333"], credentials: {secret: nats}, tls: {secret: nats-tls, client: true}}
`

// installs are values that users would choose, and what comes of them.
var installs = map[string]struct {
	values string
	want   string // kinds and names
}{
	"single": {
		values: `config: {model: [echo], keys: [{name: a, hash: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]}`,
		want:   "ConfigMap r-runnel, NetworkPolicy r-runnel, Pod r-runnel-ready, Service r-runnel, ServiceAccount r-runnel, StatefulSet r-runnel",
	},
	"single, everything": {
		values: `
insecure: true
image: {tag: 1.2.3, pullSecrets: [registry]}
config: {retries: 3}
env: {OTEL_SERVICE_NAME: chat, RUNNEL_HEARTBEAT: 10s}
secretEnv: {OPENAI_API_KEY: "#: quoted"}
existingSecret: mine
secretFiles: files
persistence: {storageClass: fast, size: 5Gi}
drainSeconds: 120
preStopSeconds: 0
ingress: {enabled: true, className: nginx, host: chat.example.com, tlsSecret: tls, annotations: {nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"}}
networkPolicy: {from: [{namespaceSelector: {}}], egress: [{ports: [{port: 11434}]}]}
podMonitor: {enabled: true, labels: {release: prometheus}}
serviceAccount: {name: other, annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/x"}}
podLabels: {team: chat}
podAnnotations: {a: b}
nodeSelector: {disk: ssd}
tolerations: [{key: a, operator: Exists}]
affinity: {podAntiAffinity: {}}
priorityClassName: high
`,
		want: "ConfigMap r-runnel, Ingress r-runnel, NetworkPolicy r-runnel, Pod r-runnel-ready, PodMonitor r-runnel, Secret r-runnel, Service r-runnel, ServiceAccount other, StatefulSet r-runnel",
	},
	"cluster": {
		values: cluster,
		want:   "ConfigMap r-runnel, Deployment r-runnel, NetworkPolicy r-runnel, Pod r-runnel-ready, PodDisruptionBudget r-runnel-node, Service r-runnel, ServiceAccount r-runnel",
	},
	"cluster, roles": {
		values: cluster + `
workers: {enabled: true, autoscaling: {enabled: true}, resources: {requests: {cpu: 2}}}
nodes: {autoscaling: {enabled: true}}
podMonitor: {enabled: true}
networkPolicy: {enabled: false}
serviceAccount: {create: false}
`,
		want: "ConfigMap r-runnel, Deployment r-runnel, Deployment r-runnel-worker, HorizontalPodAutoscaler r-runnel, HorizontalPodAutoscaler r-runnel-worker, Pod r-runnel-ready, PodDisruptionBudget r-runnel-node, PodDisruptionBudget r-runnel-worker, PodMonitor r-runnel, Service r-runnel",
	},
}

func TestChart(t *testing.T) {
	t.Parallel()
	for name, install := range installs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lintChart(t, install.values)
			all, notes, err := render(install.values)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range all {
				got = append(got, m.kind+" "+m.object.GetName())
			}
			slices.Sort(got)
			if got := strings.Join(got, ", "); got != install.want {
				t.Errorf("got  %s\nwant %s", got, install.want)
			}
			if !strings.Contains(notes, "helm --namespace n test r") {
				t.Errorf("the notes are\n%s", notes)
			}
			for _, w := range workloads(all) {
				t.Run(w.name, func(t *testing.T) { checkPod(t, w, all) })
			}
			checkReferences(t, all)
		})
	}
}

func lintChart(t *testing.T, text string) {
	t.Helper()
	values, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range lint.All(chartDir, values, "n", true).Messages {
		if m.Severity > support.InfoSev {
			t.Error(m)
		}
	}
}

// A manifest is one that the chart has made.
type manifest struct {
	kind   string
	object meta.Object
}

// render installs the chart as "r" in the namespace "n", but for the cluster.
func render(text string) (all []manifest, notes string, err error) {
	c, err := loader.Load(chartDir)
	if err != nil {
		return nil, "", err
	}
	values, err := chartutil.ReadValues([]byte(text))
	if err != nil {
		return nil, "", err
	}
	release := chartutil.ReleaseOptions{Name: "r", Namespace: "n", Revision: 1, IsInstall: true}
	top, err := chartutil.ToRenderValues(c, values, release, chartutil.DefaultCapabilities.Copy())
	if err != nil {
		return nil, "", err
	}
	files, err := engine.Engine{Strict: true}.Render(c, top)
	if err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Base(name) == "NOTES.txt" {
			notes = files[name]
			continue
		}
		for document := range strings.SplitSeq("\n"+files[name], "\n---\n") {
			if strings.TrimSpace(document) == "" {
				continue
			}
			m, err := decode(document)
			if err != nil {
				return nil, "", fmt.Errorf("%s: %w\n%s", name, err, document)
			}
			all = append(all, m)
		}
	}
	return all, notes, nil
}

// decode refuses a field that the API does not know, or knows otherwise.
func decode(document string) (manifest, error) {
	var head meta.TypeMeta
	if err := yaml.Unmarshal([]byte(document), &head); err != nil {
		return manifest{}, err
	}
	empty, ok := kinds[head.APIVersion+"/"+head.Kind]
	if !ok {
		return manifest{}, fmt.Errorf("%s/%s is not expected", head.APIVersion, head.Kind)
	}
	object := empty()
	if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
		return manifest{}, err
	}
	if object.GetName() == "" || object.GetLabels()["app.kubernetes.io/name"] != "runnel" {
		return manifest{}, errors.New("it has no name, or no labels")
	}
	return manifest{head.Kind, object}, nil
}

// A workload makes pods.
type workload struct {
	name     string
	selector *meta.LabelSelector
	template core.PodTemplateSpec
	claims   []core.PersistentVolumeClaim
}

func workloads(all []manifest) (found []workload) {
	for _, m := range all {
		switch o := m.object.(type) {
		case *apps.Deployment:
			found = append(found, workload{o.Name, o.Spec.Selector, o.Spec.Template, nil})
		case *apps.StatefulSet:
			found = append(found, workload{o.Name, o.Spec.Selector, o.Spec.Template, o.Spec.VolumeClaimTemplates})
		}
	}
	return found
}

// checkPod holds pods to what Runnel needs, and to the restricted pod security
// standard.
func checkPod(t *testing.T, w workload, all []manifest) {
	if !matches(t, w.selector, w.template.Labels) {
		t.Error("the selector does not find the pods")
	}
	spec := w.template.Spec
	c := spec.Containers[0]
	security := spec.SecurityContext
	if !*security.RunAsNonRoot || *security.RunAsUser == 0 || security.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault ||
		*c.SecurityContext.AllowPrivilegeEscalation || !*c.SecurityContext.ReadOnlyRootFilesystem ||
		!slices.Equal(c.SecurityContext.Capabilities.Drop, []core.Capability{"ALL"}) || *spec.AutomountServiceAccountToken || *spec.EnableServiceLinks {
		t.Errorf("the pods are not hardened: %+v %+v", security, c.SecurityContext)
	}
	for name, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		want := map[bool]string{true: "/readyz", false: "/healthz"}[name == "readiness"]
		if probe.HTTPGet.Path != want || probe.HTTPGet.Port.StrVal != c.Ports[0].Name {
			t.Errorf("the %s probe asks %s of port %s", name, probe.HTTPGet.Path, probe.HTTPGet.Port.StrVal)
		}
	}
	for _, mount := range c.VolumeMounts {
		named := func(name string) bool { return name == mount.Name }
		inPod := slices.ContainsFunc(spec.Volumes, func(v core.Volume) bool { return named(v.Name) })
		claimed := slices.ContainsFunc(w.claims, func(v core.PersistentVolumeClaim) bool { return named(v.Name) })
		if inPod == claimed {
			t.Errorf("volume %s: in the pod %v, claimed %v", mount.Name, inPod, claimed)
		}
		// A folder within one that is read-only cannot be made for it.
		for _, other := range c.VolumeMounts {
			if strings.HasPrefix(mount.MountPath, other.MountPath+"/") {
				t.Errorf("%s is mounted within %s", mount.MountPath, other.MountPath)
			}
		}
	}
	environ, drain := []string{"SECRET=x"}, time.Duration(0)
	for _, v := range c.Env {
		environ = append(environ, v.Name+"="+v.Value)
		if v.Name == "RUNNEL_DRAIN_TIMEOUT" {
			drain, _ = time.ParseDuration(v.Value)
		}
	}
	checkRole(t, w, all)
	grace := time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second
	if c.Lifecycle != nil {
		grace -= time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	}
	if drain == 0 || grace < drain+30*time.Second {
		t.Errorf("%v are left for a drain of %v and the end after it", grace, drain)
	}
	accept(t, configOf(t, all), environ)
}

// checkRole: where there are workers the other pods leave the work to them.
func checkRole(t *testing.T, w workload, all []manifest) {
	want, component := "all", w.template.Labels["app.kubernetes.io/component"]
	if len(workloads(all)) > 1 {
		want = map[string]string{"node": "gateway", "worker": "worker"}[component]
	}
	role := ""
	for _, v := range w.template.Spec.Containers[0].Env {
		if v.Name == "RUNNEL_ROLE" {
			role = v.Value
		}
	}
	if role != want {
		t.Errorf("the role of the pods %q is %q, want %q", component, role, want)
	}
}

func configOf(t *testing.T, all []manifest) string {
	for _, m := range all {
		if c, ok := m.object.(*core.ConfigMap); ok {
			return c.Data["runnel.yaml"]
		}
	}
	t.Fatal("there is no configuration")
	return ""
}

// checkReferences looks for what manifests say of each other.
func checkReferences(t *testing.T, all []manifest) {
	exists := func(kind, name string) bool {
		return slices.ContainsFunc(all, func(m manifest) bool { return m.kind == kind && m.object.GetName() == name })
	}
	selected := func(s *meta.LabelSelector) (names []string) {
		for _, w := range workloads(all) {
			if matches(t, s, w.template.Labels) {
				names = append(names, w.name)
			}
		}
		return names
	}
	everyone := len(workloads(all))
	for _, m := range all {
		switch o := m.object.(type) {
		case *core.Service:
			if names := selected(&meta.LabelSelector{MatchLabels: o.Spec.Selector}); !slices.Equal(names, []string{"r-runnel"}) {
				t.Errorf("the Service leads to %v", names)
			}
		case *policy.PodDisruptionBudget:
			if names := selected(o.Spec.Selector); len(names) != 1 {
				t.Errorf("%s is for %v", o.Name, names)
			}
		case *networking.NetworkPolicy:
			if names := selected(&o.Spec.PodSelector); len(names) != everyone {
				t.Errorf("the network policy is for %v", names)
			}
		case *monitoring.PodMonitor:
			if names := selected(&o.Spec.Selector); len(names) != everyone {
				t.Errorf("the monitor is for %v", names)
			}
		case *networking.Ingress:
			if s := o.Spec.Rules[0].HTTP.Paths[0].Backend.Service; !exists("Service", s.Name) {
				t.Errorf("the Ingress leads to %s", s.Name)
			}
		case *autoscaling.HorizontalPodAutoscaler:
			if !exists(o.Spec.ScaleTargetRef.Kind, o.Spec.ScaleTargetRef.Name) {
				t.Errorf("%s scales nothing", o.Name)
			}
		}
	}
}

func matches(t *testing.T, s *meta.LabelSelector, set labels.Set) bool {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(set)
}

// TestChartRefuses installs with mistakes.
func TestChartRefuses(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		`{}`:                                           "runnel key new",
		`{insecure: true, mode: both}`:                 "mode",
		`{insecure: true, replicas: 3}`:                "replicas",
		`{insecure: true, mode: cluster}`:              "urls",
		`{insecure: true, nats: {urls: ["nats://a"]}}`: "urls",
		`{insecure: true, mode: cluster, nats: {urls: ["nats://user:password@a:4222"]}}`: "urls",
		`{insecure: true, mode: cluster, nats: {urls: ["http://a:4222"]}}`:               "urls",
		`{insecure: true, mode: cluster, nats: {urls: ["nats://a"], replicas: 9}}`:       "replicas",
		`{insecure: true, workers: {enabled: true}}`:                                     "workers",
		`{insecure: true, nodes: {autoscaling: {enabled: true}}}`:                        "autoscaling",
		`{insecure: true, config: {listen: "127.0.0.1:80"}}`:                             "listen",
		`{insecure: true, config: {flush-chunks: 3}}`:                                    "flush-chunks",
		`{insecure: true, env: {RUNNEL_DATA_DIR: /tmp}}`:                                 "RUNNEL_DATA_DIR",
		`{insecure: true, secretEnv: {OPENAI_API_KEY: 1}}`:                               "OPENAI_API_KEY",
		`{insecure: true, drainSeconds: "30s"}`:                                          "drainSeconds",
		`{insecure: true, ingress: {enabled: true}}`:                                     "host",
		`{insecure: true, persistence: {size: large}}`:                                   "size",
		`{insecure: true, image: {pullPolicy: Sometimes}}`:                               "pullPolicy",
		`{insecure: true, podDisruptionBudget: {maxUnavailable: 0}}`:                     "maxUnavailable",
		`{insecure: true, resources: {limit: {memory: 1Gi}}}`:                            "limit",
	} {
		if _, _, err := render(values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want something about %q", values, err, want)
		}
	}
}

// TestChartSchema holds the schema and the default values together.
func TestChartSchema(t *testing.T) {
	t.Parallel()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"properties"`
	}
	if err := yaml.Unmarshal(c.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	for name, p := range schema.Properties {
		value, ok := c.Values[name]
		if !ok && name != "global" {
			t.Errorf("%s has no default", name)
		}
		if own, ok := value.(map[string]any); ok {
			for inner := range p.Properties {
				if _, ok := own[inner]; !ok && name != "resources" {
					t.Errorf("%s.%s has no default", name, inner)
				}
			}
		}
	}
	checkVersion(t, c)
}

// checkVersion: a chart installs the version that it is released with.
func checkVersion(t *testing.T, c *chart.Chart) {
	if c.Metadata.Version != c.Metadata.AppVersion {
		t.Errorf("the chart is %s, what it installs %s", c.Metadata.Version, c.Metadata.AppVersion)
	}
}

// TestScaledMetrics: what the chart scales on is there from the start.
func TestScaledMetrics(t *testing.T) {
	t.Parallel()
	all, _, err := render(installs["cluster, roles"].values)
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, nil)
	resp, err := http.Get(n.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	docs := read(t, root, "docs/operate.md")
	for _, m := range all {
		if hpa, ok := m.object.(*autoscaling.HorizontalPodAutoscaler); ok {
			metric := hpa.Spec.Metrics[0].Pods.Metric.Name
			if !strings.Contains(string(said), "\n"+metric) {
				t.Errorf("there is no %s", metric)
			}
			if !strings.Contains(docs, metric) {
				t.Errorf("docs/operate.md does not say how the autoscaler gets %s", metric)
			}
		}
	}
}
