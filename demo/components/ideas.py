"""What each method takes a style to be: in words, as a formula, and what it does not see."""

from typing import NamedTuple


class Idea(NamedTuple):
    """One method. formula, cost: LaTeX. notebook: file#section that derives it."""

    words: str
    formula: str
    stores: str
    blind: str
    cost: str
    notebook: str


KERNEL, GRAM = "02_two_sample_problem#The Gaussian kernel", "03_gram_is_mmd#The derivation"
LINEAR, BN = "04_four_styles_of_style#Linear", "04_four_styles_of_style#BN statistics"
SORTED = (
    "sorted values along D directions",
    "differences that no direction in its sample shows",
    r"O(D (N_l M_l + M_l \log M_l))",
    KERNEL,
)

IDEAS = {
    "linear": Idea(
        "Ask every feature detector: *how strongly do you respond on average?* Two images share a style when "
        "all the averages agree.",
        r"\mathrm{MMD}^2 = \lVert \mu_F - \mu_S \rVert^2, \qquad k(x, y) = x^{\mathsf T} y",
        "the mean of every channel",
        "how much a detector varies, and which detectors respond together",
        r"O(N_l M_l)",
        LINEAR,
    ),
    "poly": Idea(
        "Ask every *pair* of detectors: *how often do you respond together?* This is the Gram matrix of "
        "Gatys, Ecker and Bethge. The paper's discovery is that comparing Gram matrices **is** comparing "
        "two distributions.",
        r"\mathrm{MMD}^2 = \Bigl\lVert \tfrac{1}{M_l} F F^{\mathsf T} - \tfrac{1}{M_l'} S S^{\mathsf T}"
        r" \Bigr\rVert^2 + 2c \, \lVert \mu_F - \mu_S \rVert^2, \qquad k(x, y) = (x^{\mathsf T} y + c)^2",
        "the Gram matrix: one number for every pair of channels",
        "anything beyond second moments: two very different distributions can have the same Gram matrix",
        r"O(N_l^2 M_l)",
        GRAM,
    ),
    "gaussian": Idea(
        "Ask how *dense* the features are around every point, blurred with a width σ. In principle this "
        "detects every difference between two distributions.",
        r"\mathrm{MMD}^2 = \overline{k(f, f')} + \overline{k(s, s')} - 2\,\overline{k(f, s)}, \qquad "
        r"k(x, y) = e^{-\lVert x - y \rVert^2 / 2\sigma^2}",
        "averages of random Fourier features, which describe the whole distribution",
        "details that are much finer or much coarser than its width σ",
        r"O(N_l D M_l)",
        KERNEL,
    ),
    "bn": Idea(
        "Ask every detector two things: *how strongly do you respond on average, and how much does that "
        "vary?* Batch normalisation stores these numbers, and they suffice for a surprisingly good style.",
        r"d = \frac{1}{N_l} \sum_i (\mu_{F,i} - \mu_{S,i})^2 + (\sigma_{F,i} - \sigma_{S,i})^2",
        "the mean and the standard deviation of every channel",
        "which detectors respond together",
        r"O(N_l M_l)",
        BN,
    ),
    "wasserstein": Idea(
        "Treat both point clouds as normal distributions. *How far must every point move* to turn one into "
        "the other?",
        r"W_2^2 = \lVert \mu_F - \mu_S \rVert^2 + \mathrm{tr}\bigl(C_F + C_S"
        r" - 2 (C_S^{1/2} C_F C_S^{1/2})^{1/2}\bigr)",
        "the mean and the covariance of the channels",
        "anything beyond second moments",
        r"O(N_l^2 M_l + N_l^3)",
        BN,
    ),
    "sliced": Idea(
        "Look at the point clouds from many directions. From each, a cloud is a list of sorted numbers: "
        "*how far apart are the two lists?*",
        r"d = \frac{1}{D} \sum_\theta \int_0^1 \bigl(Q_{\theta^{\mathsf T} F}(u)"
        r" - Q_{\theta^{\mathsf T} S}(u)\bigr)^2 du",
        *SORTED,
    ),
    "energy": Idea(
        "Every point is attracted by all points of the style and repelled by all points of its own image, "
        "*with the same force at any distance*. The forces balance where the distributions are equal.",
        r"d = 2\,\overline{\lVert f - s \rVert} - \overline{\lVert f - f' \rVert}"
        r" - \overline{\lVert s - s' \rVert}",
        *SORTED,
    ),
    "laplace": Idea(
        "Ask the question of the Gaussian kernel with *all* widths at once, so that points far from the "
        "style are attracted, too.",
        r"\mathrm{MMD}^2 \text{ with } k(x, y) = e^{-\lVert x - y \rVert / \sigma}",
        "averages of random Fourier features",
        "details that are much finer than half its width σ",
        r"O(N_l D M_l)",
        KERNEL,
    ),
    "cubic": Idea(
        "Ask every *three* detectors: *how often do you respond together?* This shows how skewed a "
        "distribution is.",
        r"\mathrm{MMD}^2 \text{ with } k(x, y) = (x^{\mathsf T} y + c)^3",
        "averages of products of three projections",
        "anything but third moments",
        r"O(N_l D M_l)",
        GRAM,
    ),
    "coral": Idea(
        "A Gram matrix *after* the averages are subtracted: the shape of the point cloud, wherever it lies. "
        "The colours and the brightness of the content stay.",
        r"d = \frac{1}{4 N_l^2} \lVert C_F - C_S \rVert^2",
        "the covariance of the channels",
        "where the point cloud lies, and anything beyond second moments",
        r"O(N_l^2 M_l)",
        BN,
    ),
    "cmd": Idea(
        "Ask every detector, one by one: *how strong, how varied, how skewed, how heavy-tailed* are your "
        "responses?",
        r"d = \frac{1}{N_l} \sum_{k=1}^{5} \lVert c_k(F) - c_k(S) \rVert^2 / r^{2k}",
        "five moments of every channel",
        "which detectors respond together",
        r"O(N_l M_l)",
        BN,
    ),
}
