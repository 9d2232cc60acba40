"""What each method takes a style to be: in words, a formula, and what it cannot see."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Idea:
    """One method. formula, cost: LaTeX. blind: what it cannot see. notebook: file#section
    that derives it."""

    words: str
    formula: str
    remembers: str
    blind: str
    cost: str
    notebook: str


IDEAS = {
    "linear": Idea(
        "Ask of every feature detector: *how strongly do you fire on average?* Two pictures share a style "
        "when all the averages agree.",
        r"\mathrm{MMD}^2 = \lVert \mu_F - \mu_S \rVert^2, \qquad k(x, y) = x^{\mathsf T} y",
        "the mean of every channel",
        "how much a detector varies, and which detectors fire together",
        r"O(N_l M_l)",
        "04_four_styles_of_style#Linear",
    ),
    "poly": Idea(
        "Ask of every *pair* of detectors: *how often do you fire together?* This is the Gram matrix of "
        "Gatys, Ecker and Bethge, and the paper's discovery is that comparing Gram matrices **is** comparing "
        "two distributions.",
        r"\mathrm{MMD}^2 = \Bigl\lVert \tfrac{1}{M_l} F F^{\mathsf T}"
        r" - \tfrac{1}{M_l'} S S^{\mathsf T} \Bigr\rVert^2"
        r" + 2c \, \lVert \mu_F - \mu_S \rVert^2, \qquad k(x, y) = (x^{\mathsf T} y + c)^2",
        "the Gram matrix: one number for every pair of channels",
        "everything beyond second moments: two very different crowds can have the same Gram matrix",
        r"O(N_l^2 M_l)",
        "03_gram_is_mmd#The derivation",
    ),
    "gaussian": Idea(
        "Ask how *crowded* feature space is around every point, seen through a blur of width σ. In principle "
        "this notices every difference between two distributions.",
        r"\mathrm{MMD}^2 = \overline{k(f, f')} + \overline{k(s, s')} - 2\,\overline{k(f, s)}, \qquad "
        r"k(x, y) = e^{-\lVert x - y \rVert^2 / 2\sigma^2}",
        "averages of random cosines, a fingerprint of the whole distribution",
        "details much finer or much coarser than its blur σ",
        r"O(N_l D M_l)",
        "02_two_sample_problem#The Gaussian kernel",
    ),
    "bn": Idea(
        "Ask of every detector two things: *how strongly do you fire on average, and how much does that "
        "vary?* These are the numbers batch normalisation keeps, and they suffice for a surprisingly good "
        "style.",
        r"d = \frac{1}{N_l} \sum_i (\mu_{F,i} - \mu_{S,i})^2 + (\sigma_{F,i} - \sigma_{S,i})^2",
        "the mean and the deviation of every channel",
        "which detectors fire together",
        r"O(N_l M_l)",
        "04_four_styles_of_style#BN statistics",
    ),
    "wasserstein": Idea(
        "Think of both clouds as Gaussian bells. *How far must every point move* to turn one bell into the "
        "other?",
        r"W_2^2 = \lVert \mu_F - \mu_S \rVert^2 + \mathrm{tr}\bigl(C_F + C_S"
        r" - 2 (C_S^{1/2} C_F C_S^{1/2})^{1/2}\bigr)",
        "the mean and the covariance of the channels",
        "everything beyond second moments",
        r"O(N_l^2 M_l + N_l^3)",
        "04_four_styles_of_style#BN statistics",
    ),
    "sliced": Idea(
        "Look at the clouds from many directions. From each, a cloud is a row of sorted numbers: *how far "
        "apart are the two rows?*",
        r"d = \frac{1}{D} \sum_\theta \int_0^1 \bigl(Q_{\theta^{\mathsf T} F}(u)"
        r" - Q_{\theta^{\mathsf T} S}(u)\bigr)^2 du",
        "sorted values along D directions",
        "what shows in no direction it looks along",
        r"O(D (N_l M_l + M_l \log M_l))",
        "02_two_sample_problem#The Gaussian kernel",
    ),
    "energy": Idea(
        "Pull every point towards all points of the style and push it from all of its own kind, *with one "
        "and the same force at any distance*: at rest the clouds are equal.",
        r"d = 2\,\overline{\lVert f - s \rVert} - \overline{\lVert f - f' \rVert}"
        r" - \overline{\lVert s - s' \rVert}",
        "sorted values along D directions",
        "what shows in no direction it looks along",
        r"O(D (N_l M_l + M_l \log M_l))",
        "02_two_sample_problem#The Gaussian kernel",
    ),
    "laplace": Idea(
        "The Gaussian's question with blurs of *all* widths at once, so that points far from the style "
        "feel a pull, too.",
        r"\mathrm{MMD}^2 \text{ with } k(x, y) = e^{-\lVert x - y \rVert / \sigma}",
        "averages of random cosines",
        "details much finer than half its width σ",
        r"O(N_l D M_l)",
        "02_two_sample_problem#The Gaussian kernel",
    ),
    "cubic": Idea(
        "Ask of every *three* detectors: *how often do you fire together?* So it sees how lopsided a cloud "
        "is.",
        r"\mathrm{MMD}^2 \text{ with } k(x, y) = (x^{\mathsf T} y + c)^3",
        "averages of products of three projections",
        "everything but third moments",
        r"O(N_l D M_l)",
        "03_gram_is_mmd#The derivation",
    ),
    "coral": Idea(
        "A Gram matrix *after* the averages are taken away: the cloud's shape, wherever it lies. So colours "
        "and brightness of the photograph stay.",
        r"d = \frac{1}{4 N_l^2} \lVert C_F - C_S \rVert^2",
        "the covariance of the channels",
        "where the cloud lies, and everything beyond second moments",
        r"O(N_l^2 M_l)",
        "04_four_styles_of_style#BN statistics",
    ),
    "cmd": Idea(
        "Ask of every detector, one by one: *how strong, how varied, how lopsided, how heavy-tailed* are "
        "your answers?",
        r"d = \frac{1}{N_l} \sum_{k=1}^{5} \lVert c_k(F) - c_k(S) \rVert^2 / r^{2k}",
        "five moments of every channel",
        "which detectors fire together",
        r"O(N_l M_l)",
        "04_four_styles_of_style#BN statistics",
    ),
}
