"""Why a name of PyTorch is different or absent. ABSENT: the first line whose group and name both match gives the reason; what
matches none is "to do". DIFFERENT: names that are there, take the same arguments, and yet do something else."""
from __future__ import annotations

ANY = r".*"
TENSORS = r"torch(\.Tensor)?$"
NN = r"torch\.nn(\.functional)?$|torch$"

ABSENT = (
    (r"torch\.nn\.init", r"[a-z_]*[a-z]$", "deprecated by PyTorch: use the name with _ at the end"),
    (r"torch\.nn\.utils$", r"clip_grad_norm$", "deprecated by PyTorch: use clip_grad_norm_"),
    (r"torch\.nn\.utils$", r"(remove_)?spectral_norm", "deprecated by PyTorch: use parametrizations.spectral_norm"),
    (r"torch\.autograd$", r"grad(grad)?check", "in pydl.testing"),
    (r"torch$", r"Size", "the shape of a tensor is a tuple of ints"),
    (r"torch$", r"\w+[^_]_", "in place: as a method of Tensor"),
    (r"torch\.nn\.functional$", r"\w+[^_]_", "in place: the argument inplace does it"),
    (r"torch\.nn\.functional$", r"(handle|has)_torch_function\w*|boolean_dispatch|assert_int_or_pair|(scaled_)?(grouped_)?mm",
     "inside of PyTorch, or for types that are not there"),
    # Another scope
    (ANY, r".*complex.*|cdouble|cfloat|chalf|(is_|resolve_)?conj(_physical)?_?|imag|real|is_neg|resolve_neg|angle|polar|adjoint|mH|H|isreal",
     "complex numbers are not there"),
    (ANY, r".*(sparse|csr|csc|bsr|bsc).*(?<!sparse_)$|coalesce|is_coalesced|(col|row|ccol|crow)_indices(_copy)?|indices(_copy)?|values(_copy)?"
          r"|.*smm|hspmm|spmm|dense_dim|to_dense|saddmm|sspaddmm", "sparse tensors are not there"),
    (ANY, r".*quantiz\w+|.*Quantiz\w+|fake_quant\w+|q_.*|qint.*|quint.*|qscheme|int_repr|choose_qparams.*|fbgemm_.*|fused_moving_avg.*", "quantized tensors are not there"),
    (ANY, r".*(cuda|cudnn|miopen|mkldnn|vulkan|mps|mtia|xpu|xla|ipu|maia).*|get_device(_module)?|(set|get)_default_device|pin_memory|is_pinned"
          r"|is_meta|record_stream|Stream|Event|module_load|const_data_ptr", "there is one device, the CPU"),
    (ANY, r".*autocast.*|half|bfloat16|b?float(4|8|16)_?.*|float16", "float16 and bfloat16 are not there"),
    (ANY, r"(u?int(1|2|3|4|5|6|7|8|16|32|64))|short|char|bit|bits\w+|ShortTensor|byte", "types: float32, float64, int64, int32, uint8 and bool"),
    (ANY, r".*(named_tensor|nested|padded_tensor|to_padded).*|dim_order|names?", "named and nested tensors are not there"),
    (ANY, r"sym_.*|cond|while_loop|compile|vmap|fork|wait|import_ir.*|parse_.*|merge_type.*|unify_type.*|typename|is_storage|classproperty"
          r"|hash_tensor|thread_safe_generator|get_file_path|prepare_multi.*|profiler_allow.*|init_num_threads|compiled_with.*|.*_tunable.*"
          r"|share_memory_|is_shared|is_distributed|reinforce|as_subclass|volatile|grad_dtype|output_nr|storage_type|has_(lapack|mkl|openmp|spectral)"
          r"|.*vital.*|.*warn_always.*|.*deterministic.*|.*float32_matmul_precision|.*interop.*|set_flush_denormal|set_default_tensor_type",
     "compilation, TorchScript, processes and settings of PyTorch's own"),
    (ANY, r"(?!index_)\w+_copy|unsafe_\w+|native_\w+|norm_except_dim|nuclear_norm|frobenius_norm|cudnn.*|batch_norm_\w+|.*_backward\w*|is_inference"
          r"|slice_(copy|inverse)|slice_scatter|empty_permuted|\w*constrain_range\w*|nonzero_static|segment_reduce|_assert|is_set_to|index|.*_symint",
     "inside of PyTorch, not documented there or only for its compilers"),
    (r"torch\.Tensor$", r"cpu|storage|untyped_storage|set_|resize_?|resize_as_?|map_|map2_|apply_|new|nelement|type_as_|data_ptr",
     "storages and functions on single elements are not there"),
    (TENSORS, r"load|save|from_file|resize_as_|frombuffer", "no pickle: pydl.io saves and loads; from_numpy(numpy.frombuffer(...))"),
    (TENSORS, r"eig|symeig|solve|lstsq|matrix_rank|qr|lu|cholesky|triangular_solve|ger|orgqr|geqrf|ormqr|chain_matmul|svd|norm|range|dsmm",
     "deprecated or removed by PyTorch: use linalg"),
    (ANY, r"(kaiser|hann|hamming|blackman|bartlett)_window|i?stft|signal", "signal processing is still to come"),
    (NN, r"SyncBatchNorm|CrossMapLRN2d|conv_tbc|_?convolution", "for several devices, deprecated, or inside of PyTorch"),
    # Later stages of the library
    (NN, r".*[cC]onv(olution)?_?.*|.*[pP]ool.*|.*[uU]psampl.*|interpolate|grid_sample\w*|affine_grid\w*|.*[pP]ixel_?([sS]huffle|[uU]nshuffle)"
         r"|[cC]hannel_?[sS]huffle|(un)?[fF]old|Unfold|.*[pP]ad(\dd)?|pad|constant_pad_nd|CircularPad.*|.*instance_norm.*|InstanceNorm.*|LazyInstance.*"
         r"|LocalResponseNorm|local_response_norm|.*BatchNorm[23]d|LazyBatchNorm.*|SyncBatchNorm|CrossMapLRN2d|Softmax2d|Upsampl.*|.*channels_last.*",
     "images: convolution, pooling, padding and resampling are still to come"),
    (NN, r".*(rnn|lstm|gru|RNN|LSTM|GRU|[tT]ransformer|[aA]ttention|ctc|CTC).*", "sequences: recurrence, attention and CTC are still to come"),
    (r"torch\.nn\.utils", r"convert_conv.*|skip_init", "memory formats and devices are not there"),
    (r"torch\.nn$", r"DataParallel|AdaptiveLogSoftmaxWithLoss|Container|.*BufferDict|factory_kwargs", "deprecated, or for several devices"),
    (r"torch\.utils\.data", r".*(Data[pP]ipe|datapipe).*|DataChunk|argument_validation|runtime_validation.*|non_deterministic|DistributedSampler"
                            r"|guaranteed.*|functional_datapipe", "DataPipes are deprecated by PyTorch; there are no processes"),
    (r"torch\.autograd", r"NestedIOFunction|[vV]ariable|enforce_grad.*|set_multithreading.*|grad_mode", "deprecated, or inside of PyTorch"),
    (r"torch\.optim$", r"SparseAdam", "sparse tensors are not there"),
    (r"torch\.special$", r".*_(polynomial|bessel)_.*|bessel_.*|airy_ai|gammaincc?", "orthogonal polynomials and Bessel functions: scipy.special, on x.numpy()"),
    (ANY, r"igammac?_?", "the incomplete gamma function: scipy.special.gammainc, on x.numpy()"),
    (r"torch$", r"AVG|SUM|default_generator|.*anomaly.*|lobpcg|(pca|svd)_lowrank|feature_dropout|to_dlpack|view_as_real",
     "inside of PyTorch, or under another name: pydl.random.default_generator, nn.functional.dropout2d, Tensor.__dlpack__, linalg.svd"),
    (r"torch\.nn$", r"LinearCrossEntropy\w+|NLLLoss2d", "new and in motion, or deprecated"),
    (r"torch\.nn\.functional$", r"linear_cross_entropy", "new and in motion"),
    (r"torch\.optim$", r"swap_in_optimizer\w+", "inside of PyTorch"),
    (r"torch\.linalg$", r"LinAlgError|.*(ldl|lu|eig$|eigvals$).*", "needs what NumPy does not give, or complex numbers"),
)

DIFFERENT = {
    ("torch.Tensor", "shape"): "a tuple of ints, so that pydl.Tensor(*x.shape) makes a tensor of that shape",
    ("torch.Tensor", "size"): "the sizes are a tuple of ints",
    ("torch.Tensor", "clone"): "the copy is contiguous, whatever the strides of the original are",
    ("torch.optim.lr_scheduler", "OneCycleLR"): "a step past total_steps keeps the last rate; PyTorch's runs on beyond the end",
    ("torch", "manual_seed"): "another generator (Philox): other numbers, but the same on every machine and for any number of threads",
    ("torch", "set_num_threads"): "results do not depend on it",
    ("torch.nn", "Module"): "load_state_dict raises ValueError with the whole report where PyTorch raises RuntimeError, and changes nothing then",
}

# Arguments that choose among kinds of memory and implementations: none of them changes a result, and pydl has one of each.
EVERYWHERE = {"out", "device", "layout", "pin_memory", "memory_format", "foreach", "fused", "capturable", "differentiable", "size_average",
              "reduce", "non_blocking", "out_dtype", "sparse_grad", "implicit", "from", "names", "only_inputs", "grad_variables"}
