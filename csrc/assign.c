/* The assignment of rows to columns with the least sum of costs: cost float64 (n, m), n <= m, contiguous, infinity for pairs that must not be.
 * Row by row along a shortest augmenting path (Jonker & Volgenant 1987; Crouse, "On implementing 2D rectangular assignment algorithms", 2016):
 * O(n^2 m). Letters: i rows, j columns. */
#ifndef ASSIGN_ONCE
#define ASSIGN_ONCE
typedef struct assign_job {
    const double *cost;
    size_t n, m;
    double *u, *v, *least;         /* potentials of rows and columns; the shortest paths found to the columns */
    int64_t *row_of, *from, *left; /* of every column: its row, the row before it on the path; the columns not yet reached */
    int64_t *column_of;            /* of every row */
    unsigned char *row_seen, *column_seen;
} assign_job;

/* From row `start` to the nearest free column -> that, or -1 where there is none; `length` is the path's */
static int64_t assign_path(const assign_job *job, size_t start, double *length) {
    size_t left = job->m, i = start;
    double far = 0;
    for (size_t j = 0; j < job->m; j++) {
        job->left[j] = (int64_t)j;
        job->least[j] = INFINITY;
    }
    memset(job->row_seen, 0, job->n);
    memset(job->column_seen, 0, job->m);
    for (;;) {
        const double *cost = job->cost + i * job->m;
        double lowest = INFINITY;
        size_t next = 0;
        job->row_seen[i] = 1;
        for (size_t k = 0; k < left; k++) {
            const size_t j = (size_t)job->left[k];
            const double through = far + cost[j] - job->u[i] - job->v[j];
            if (through < job->least[j]) {
                job->least[j] = through;
                job->from[j] = (int64_t)i;
            }
            if (job->least[j] < lowest || (job->least[j] == lowest && job->row_of[j] < 0 && lowest < INFINITY)) {
                lowest = job->least[j];
                next = k;
            }
        }
        if (!(lowest < INFINITY)) return -1;
        const int64_t j = job->left[next];
        far = lowest;
        job->column_seen[j] = 1;
        if (job->row_of[j] < 0) {
            *length = far;
            return j;
        }
        i = (size_t)job->row_of[j];
        job->left[next] = job->left[--left];
    }
}

/* buf: cost, column_of int64 (n,) of every row, int64 (1,): whether there is one at all, scratch float64 (n + 7 m): lines.outer = n, lines.n = m */
static void assign_rows(const pd_launch *launch) {
    const size_t n = launch->lines.outer, m = launch->lines.n;
    assign_job job = {.cost = launch->buf[0], .n = n, .m = m, .column_of = launch->buf[1], .u = launch->buf[3]};
    job.v = job.u + n, job.least = job.v + m;
    job.row_of = (int64_t *)(job.least + m), job.from = job.row_of + m, job.left = job.from + m;
    job.column_seen = (unsigned char *)(job.left + m), job.row_seen = job.column_seen + m;
    int64_t *found = launch->buf[2];
    *found = 0;
    for (size_t i = 0; i < n; i++) job.u[i] = 0, job.column_of[i] = -1;
    for (size_t j = 0; j < m; j++) job.v[j] = 0, job.row_of[j] = -1;
    for (size_t start = 0; start < n; start++) {
        double length = 0;
        int64_t j = assign_path(&job, start, &length), i;
        if (j < 0) return;
        job.u[start] += length;
        for (size_t k = 0; k < n; k++)
            if (job.row_seen[k] && k != start) job.u[k] += length - job.least[job.column_of[k]];
        for (size_t k = 0; k < m; k++)
            if (job.column_seen[k]) job.v[k] -= length - job.least[k];
        do {
            i = job.from[j];
            job.row_of[j] = i;
            const int64_t before = job.column_of[i];
            job.column_of[i] = j;
            j = before;
        } while (i != (int64_t)start);
    }
    *found = 1;
}
#endif
