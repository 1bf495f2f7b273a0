"""Names on faces that are no entry of the table, each with its reason."""

NO_VALUE = "a constant or a table"
RECORD = "a record of results that the library makes"
FILES = "reads or writes files: tests of its own, with files"
PART = "a part of a network, whose door is the network's"
SHAPES = "takes a model or plain numbers whose conditions its own tests cross"
TWIN = "the same checks as an entry, which calls it or which it calls"
MACHINERY = "takes nothing of a user's"

NO_DOOR = {
    "dlseg.backbones": {
        NO_VALUE: "BACKBONES PUBLISHED TIMM VGG_STAGES",
        RECORD: "Backbone Features Weights",
        FILES: "fetch load_into load_published torchvision_file",
        PART: "BasicUnit Bottleneck InvertedResidual XceptionBlock conv_bn_relu6 stage LastMap",
        SHAPES: "TimmBackbone kind_of make_backbone multi_grid_plans",
    },
    "dlseg.crf": {
        NO_VALUE: "NORMALIZATIONS PRESETS V1_RANGES V2_RANGES",
        RECORD: "Progress Search Try",
        TWIN: "appearance ExactFilter Grid Lattice elevate pairwise_energy mean_field_steps "
        "simplex",
        SHAPES: "Ranges search_kernels compatibility",
    },
    "dlseg.crf.pydensecrf": {
        NO_VALUE: "CONST_KERNEL DIAG_KERNEL FULL_KERNEL NO_NORMALIZATION NORMALIZE_AFTER "
        "NORMALIZE_BEFORE NORMALIZE_SYMMETRIC KernelType NormalizationType",
        TWIN: "ConstUnary DenseCRF LogisticUnary compute_unary softmax_to_unary",
        SHAPES: "create_pairwise_bilateral create_pairwise_gaussian unary_from_labels "
        "unary_from_softmax",
    },
    "dlseg.data": {
        NO_VALUE: "CITYSCAPES_CLASSES CITYSCAPES_PALETTE CLASSES KINDS MEAN PALETTE STD VOC2012 "
        "VOC_CLASSES VOC_COUNTS MAX_PIXELS MASKED PHOTOGRAPHS",
        RECORD: "Card Clip DataError Decoded Fault Mended Scene Survey TrainScene",
        FILES: "Cityscapes Folder Photographs VOC check_folder extract mend obtain open_data "
        "options_of read_image survey with_options "
        "read_label write_image write_label data_names kind_and_folder read_floats read_pictures "
        "frame_numbers write_bands photograph traced read_palette check_no_map",
        MACHINERY: "in_kinds printable row_bands",
        SHAPES: "Scenes Trains card cue_distance draw_scene draw_trains found_by_radius "
        "letter_accuracy label_of train_card "
        "to_ids to_train_ids",
        TWIN: "ColourJitter Compose RandomFlip RandomScale RandomScaleCrop normalise",
    },
    "dlseg.inference": {
        NO_VALUE: "CHECKED INPUT OPSET OUTPUT",
        RECORD: "ExportError Frame Redrawn",
        TWIN: "check_scales check_tile draw_legend label_frame shares tile_weights",
        MACHINERY: "evaluating fold watch",
        FILES: "export_onnx onnx_differences count_frames expected_frames read_video redraw_video",
    },
    "dlseg.inspect": {
        RECORD: "Cost",
        MACHINERY: "evaluating",
        SHAPES: "from_layers",
    },
    "dlseg.layers": {TWIN: "output_shape"},
    "dlseg.metrics": {SHAPES: "per_image"},
    "dlseg.models": {
        NO_VALUE: "ASPP_L ASPP_S CALLS FAMILIES LARGE_FOV NETWORKS RELEASED SOURCES VARIANTS "
        "WEIGHTS",
        RECORD: "Converted",
        FILES: "released_network released_weights",
        PART: "ASPP Decoder ImagePooling SumASPP auxiliary_head conv_bn_relu initialise_head "
        "tapped with_aux check_batch",
        TWIN: "DeepLabV1 DeepLabV2 DeepLabV3 DeepLabV3Cascade DeepLabV3Plus FCN "
        "torchvision_deeplabv3 at_output_stride ScoreMap Guest torchvision_fcn "
        "torchvision_mobile_deeplabv3 smp_backbone smp_deeplabv3 smp_deeplabv3plus "
        "transformers_deeplabv3 bare with_decoder",
        SHAPES: "cascade_plans scaled_rates at_stride convert described is_own name_of network_row",
    },
    "dlseg.models.relatives": {
        NO_VALUE: "AUX_WEIGHT BINS RATES SCALE",
        PART: "ChainedResidualPooling ContextModule L2Norm PyramidPooling ResidualConvUnit conv3x3 "
        "pooling_level",
        SHAPES: "crop_offsets laplacian_pyramid reconstruct uncertainty",
    },
    "dlseg.training": {
        NO_VALUE: "BEST LAST RECIPE_CHECKS",
        RECORD: "CheckpointError History Taken",
        FILES: "TensorBoard load_checkpoint load_network load_state load_weights save_checkpoint "
        "save_network",
        MACHINERY: "is_main parameter_groups prepare_batch_norm process_group take_fitting void_of",
        SHAPES: "Recipe learning_rate poly step duplicate_rare",
    },
}
FACES = list(NO_DOOR)
