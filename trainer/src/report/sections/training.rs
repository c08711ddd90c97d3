//! The terms of the bound over the stages of training.

use maud::{Markup, html};
use serde_json::Value;

use crate::report::chart::{Titles, lines};
use crate::report::material::Findings;
use crate::report::parts::{Section, figure};

/// Key of `metrics.jsonl`, heading, unit, what to look for.
const CURVES: [(&str, &str, &str, &str); 8] = [
    ("elbo", "Evidence lower bound, eq. (6.1)", "nats a frame", "The sum of the four terms below; higher is better."),
    (
        "reconstruction",
        "Term 1: + reconstruction",
        "nats a frame",
        "E log p(x|z,c): how well the decoder gives the frame back. Frames that the curves of held-out frames leave behind \
         are learned by heart.",
    ),
    (
        "alignment",
        "Term 2: + latent alignment",
        "nats a frame",
        "E log p(z|c): how near the latent lies to its cluster.",
    ),
    (
        "cluster_kl",
        "Term 3: \u{2212} KL(q(c|x) \u{2016} p(c))",
        "nats a frame",
        "From 0, a frame that tells nothing of its cluster, to certainty: log K where p(c) = 1/K. Drawn without its minus \
         sign.",
    ),
    ("latent_entropy", "Term 4: + latent entropy", "nats a frame", "H(q(z|x)): how much of the latent is left open."),
    (
        "mutual_information",
        "Information I(x;c)",
        "nats",
        "What the cluster says of the frame, at most log K. Falling towards 0 is collapse.",
    ),
    (
        "balance",
        "Balance H(q\u{304}) / log K",
        "share of log K",
        "1 if all clusters hold as many frames; its first point is EM's mixture.",
    ),
    (
        "latent_kl",
        "Stage 1: KL(q(z|x) \u{2016} N(0, I))",
        "nats a frame",
        "What stage 1, a VAE without clusters, has in place of terms 2 to 4.",
    ),
];

/// Columns of the table of counts: key of `metrics.jsonl` and heading.
const COUNTS: [(&str, &str); 9] = [
    ("components", "components"),
    ("clusters", "clusters"),
    ("least", "fewest of a half"),
    ("most", "most of a half"),
    ("stability", "agreement of halves (NMI)"),
    ("valley", "shallowest valley, standard errors"),
    ("null", "that of 5 % without one"),
    ("held_out", "held-out log-likelihood, nats"),
    ("held_out_of_one", "that of one Gaussian, nats"),
];

/// What was found from every number of components that counting began with.
fn count(counted: &Value) -> Markup {
    let cell = |value: &Value| match value {
        Value::Number(number) if !number.is_u64() => format!("{:.2}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    html! {
        h3 { "How many clusters there are" }
        p {
            "From a mixture of many components on a half of the " (counted["counted_on"].as_str().unwrap_or_default())
            ", components are joined until the other half shows a valley between any two. The number is the median over "
            "halves, where it no longer depends on the components."
        }
        div class="scroll" tabindex="0" {
            table {
                tr { @for (_, heading) in COUNTS { th { (heading) } } }
                @for row in counted["candidates"].as_array().into_iter().flatten() {
                    tr { @for (key, _) in COUNTS { td { (cell(&row[key])) } } }
                }
            }
        }
    }
}

/// One chart for each quantity.
pub fn section(findings: &Findings<'_>) -> Section {
    let body = match &findings.history {
        None => html! { p { "This run directory keeps no metrics.jsonl, so there are no curves." } },
        Some(history) => html! {
            p {
                "Means over an epoch. " span class="key training" { "training" } " "
                span class="key held-out" { "held out from training" }
                @if history.restarts > 0 {
                    " Training began again " (history.restarts) " times from other weights; this is the last attempt."
                }
            }
            @for kept in &history.kept {
                p {
                    "Stage " (kept["stage"].as_str().unwrap_or_default()) " went on with the weights of epoch "
                    (kept["kept_epoch"]) " of " (kept["epochs"]) ", better on held-out frames than the last by "
                    (format!("{:.2}", kept["gain"].as_f64().unwrap_or(f64::NAN))) " nats a frame."
                }
            }
            @if let Some(counted) = &history.counted { (count(counted)) }
            div class="charts" {
                @for (key, title, unit, meaning) in CURVES {
                    @let spoken = format!("{title} over the steps of training");
                    @let titles = Titles { spoken: &spoken, x: "step", y: unit };
                    @let curves = history.curves(key);
                    @if let Some(chart) = lines(titles, history.span(&curves), &curves, &history.marks) {
                        (figure(title, &chart, &html! { (meaning) }))
                    }
                }
            }
        },
    };
    Section { id: "training", short: "Training", title: "Training, term by term", body }
}
