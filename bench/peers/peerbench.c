// llama.cpp as a peer that runs when it is told, through its public C API alone.
//   peerbench LIBDIR MODEL.gguf vulkan|cpu THREADS TEXTS TOKENS logits|embed|exact
// Prints "ready SECONDS PEAK_MB DEVICE" when the model is loaded, then answers each line of standard input:
//   "run TEXTS TOKENS"  computes TEXTS texts of TOKENS tokens: "SECONDS PEAK_MB"
//   "hidden TOKENS FILE"  computes text 0 and writes its last hidden state, fp32: "SECONDS PEAK_MB" (needs embed or exact)
// TEXTS and TOKENS of the call are the largest that will be asked for. `logits` computes the vocabulary for last tokens alone and is the
// fastest prefill; `embed` (pooling LAST) gives the hidden state that reward heads would read, and `exact` too, with keys and values in fp32.
#include "llama.h"
#include "ggml-backend.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static long peak_mb(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kb = 0;
    while (f && fgets(line, sizeof line, f)) sscanf(line, "VmHWM: %ld", &kb);
    if (f) fclose(f);
    return kb / 1024;
}

static void errors_only(enum ggml_log_level level, const char *text, void *unused) {
    (void)unused;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static struct llama_context *context;
static struct llama_batch batch;
static int vocabulary, embed;

// The ids that ldlvk bench computes (Scenario.Ids).
static void add_text(int text, int tokens) {
    unsigned state = 12345u + (unsigned)text;
    for (int i = 0; i < tokens; i++) {
        state = state * 1664525u + 1013904223u;
        int at = batch.n_tokens++;
        batch.token[at] = (int)((state >> 8) % (unsigned)vocabulary);
        batch.pos[at] = i;
        batch.n_seq_id[at] = 1;
        batch.seq_id[at][0] = text;
        batch.logits[at] = embed || i == tokens - 1;
    }
}

static double compute(int texts, int tokens) {
    llama_memory_clear(llama_get_memory(context), true);
    llama_synchronize(context);
    batch.n_tokens = 0;
    for (int t = 0; t < texts; t++) add_text(t, tokens);
    double start = now();
    if (llama_decode(context, batch)) {
        fprintf(stderr, "llama_decode failed\n");
        exit(6);
    }
    llama_synchronize(context);
    return now() - start;
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: peerbench LIBDIR MODEL.gguf vulkan|cpu THREADS TEXTS TOKENS logits|embed|exact\n");
        return 2;
    }
    int gpu = !strcmp(argv[3], "vulkan"), threads = atoi(argv[4]), texts = atoi(argv[5]), tokens = atoi(argv[6]);
    int exact = !strcmp(argv[7], "exact");
    embed = exact || !strcmp(argv[7], "embed");
    llama_log_set(errors_only, NULL);
    ggml_backend_load_all_from_path(argv[1]);
    llama_backend_init();
    ggml_backend_dev_t devices[2] = {0};
    const char *name = "cpu";
    for (size_t i = 0; gpu && i < ggml_backend_dev_count() && !devices[0]; i++) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        if (strstr(ggml_backend_dev_name(device), "Vulkan")) {
            devices[0] = device;
            name = ggml_backend_dev_description(device);
        }
    }
    if (gpu && !devices[0]) {
        fprintf(stderr, "llama.cpp finds no Vulkan device\n");
        return 3;
    }
    double start = now();
    struct llama_model_params mp = llama_model_default_params();
    mp.devices = devices;
    mp.n_gpu_layers = gpu ? 999 : 0;
    struct llama_model *model = llama_model_load_from_file(argv[2], mp);
    if (!model) return 4;
    struct llama_context_params cp = llama_context_default_params();
    int rows = texts * tokens;
    cp.n_ctx = cp.n_batch = rows < 256 ? 256 : rows;
    cp.n_ubatch = embed ? cp.n_batch : 512; // 512 is its default; pooling needs whole texts
    cp.n_seq_max = texts;
    cp.n_threads = cp.n_threads_batch = threads;
    cp.no_perf = true;
    if (embed) {
        cp.embeddings = true;
        cp.pooling_type = LLAMA_POOLING_TYPE_LAST;
    }
    if (exact) {
        cp.type_k = cp.type_v = GGML_TYPE_F32;
        cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    }
    context = llama_init_from_model(model, cp);
    if (!context) return 5;
    vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    batch = llama_batch_init(rows, 0, 1);
    printf("ready %.6f %ld %s\n", now() - start, peak_mb(), name);
    fflush(stdout);
    char line[4096], path[4000];
    while (fgets(line, sizeof line, stdin)) {
        int m, n;
        double seconds;
        if (sscanf(line, "run %d %d", &m, &n) == 2 && m >= 1 && n >= 1 && m <= texts && m * n <= rows) seconds = compute(m, n);
        else if (embed && sscanf(line, "hidden %d %3999[^\n]", &n, path) == 2 && n >= 1 && n <= rows) {
            seconds = compute(1, n);
            FILE *f = fopen(path, "wb");
            if (!f || !fwrite(llama_get_embeddings_seq(context, 0), sizeof(float), llama_model_n_embd(model), f) || fclose(f)) return 7;
        } else {
            fprintf(stderr, "not understood: %s", line);
            return 2;
        }
        printf("%.6f %ld\n", seconds, peak_mb());
        fflush(stdout);
    }
    return 0;
}
